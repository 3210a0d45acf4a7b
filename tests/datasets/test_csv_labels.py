"""CSVs of labels as people have them: what is read of them, what is refused, and which files the rows are of."""

from pathlib import Path

import pytest

from siamese.datasets.csv_labels import LabelRows, match_files, read_labels
from siamese.errors import DataError


@pytest.fixture
def read(tmp_path: Path):
    def read(content: str | bytes) -> LabelRows:
        path = tmp_path / "labels.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_labels(path)

    return read


def named(rows: LabelRows) -> dict[str, list[str]]:
    """The labels of each id."""
    pairs = zip(rows.ids, rows.targets, strict=True)
    return {identity: [n for n, is_one in zip(rows.names, row, strict=True) if is_one] for identity, row in pairs}


PLAIN = "Id,Drama,War\na,1,0\nb,0,1\nc,0,0\n"
FOUND = {"a": ["Drama"], "b": ["War"], "c": []}


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.encode("utf-8-sig"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("Id", "ID"),
        PLAIN.replace("Id", "file"),
        PLAIN.replace("\n", "\n\n , ,\n"),
        PLAIN.replace(",", " , ").replace(" Drama ", ' "Drama"'),
        "Drama,id,War\n1,a,0\n0,b,1\n0,c,0",
        "Id,Genre,Drama,War\na,\"['Comedy', 'War']\",1,0\nb,,0,1\nc,nonsense [,0,0\n",
        "Id,Drama,War\na,1.0,0.0\nb,False,TRUE\nc,false,0\n",
        "Id,Genre\na,\"['Drama']\"\nb,['War']\nc,[]\n",
        "Genre,Id\nDrama,a\n War|War ,b\n,c\n",
        "name,GENRE\na,\"Drama,\"\nb,War\nc,\n",
    ],
    ids=[
        "plain", "byte order mark", "CRLF", "ID", "first column", "blank lines", "blanks", "Id elsewhere", "Genre beside",
        "words", "lists", "bars", "commas",
    ],
)  # fmt: skip
def test_one_table_in_many_spellings(read, content):
    rows = read(content)
    assert rows.names == ("Drama", "War")
    assert named(rows) == FOUND


def test_names_keep_their_order_and_quoted_commas_and_lists_are_sorted(read):
    rows = read('Id,"War, or peace",Drama\n"a, b",1,0\n')
    assert rows.names == ("War, or peace", "Drama")
    assert named(rows) == {"a, b": ["War, or peace"]}
    assert named(read('Id,Genre\na,War|Drama\nb,"Sci-Fi, Drama"\n')) == {
        "a": ["Drama", "War"],
        "b": ["Drama", "Sci-Fi"],
    }


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty"),
        ("\n , \n", "is empty"),
        ("Id,Drama\n", "has a header but no rows"),
        ("Id\na\n", "has the one column 'Id'"),
        ("Id;Drama\na;1\n", "has the one column 'Id;Drama'"),
        ("Id,,Drama\na,0,1\n", "column 2 has no name"),
        ("Id,Drama, Drama\na,0,1\n", "more than one column 'Drama'"),
        ("Id,Drama,ID\na,0,1\n", "more than one column 'ID'"),
        ("Id,Drama,War\na,1,0\nb,1\n", "line 3 has 2 cells; the header has 3"),
        ("Id,Drama\na,1\n\nb,1,0\n", "line 4 has 3 cells; the header has 2"),
        ("Id,Title,Drama\na,0,1\nb,Up,1\n", "line 3, column 'Title': 'Up' is neither 0 nor 1"),
        ("Id,Drama\na,\n", "line 2, column 'Drama': '' is neither 0 nor 1"),
        ("Id,Drama\na,2\n", "'2' is neither 0 nor 1"),
        ("Id,Genre\na,\"['Drama'\"\n", "line 2, column 'Genre': .* is no list of labels"),
        ("Id,Genre\na,[1]\n", "is no list of labels"),
        ("Id,Genre\na,[__import__('os').getcwd()]\n", "is no list of labels"),
        ("Id,Genre\na," + "[" * 5000 + "\n", "is no list of labels"),
        ("Id,Genre\na,\nb,[]\n", "no row names a label in the column 'Genre'"),
        ('Id,Drama\na,1\n"b,0\nc,1\n', "unexpected end of data"),
        ("Id,Drama\nM\xe9li\xe8s,1\n".encode("latin-1"), r"is not UTF-8 \(byte 11\)"),
        (PLAIN.encode("utf-16"), "is not UTF-8"),
    ],
)
def test_what_is_no_table_of_labels_is_refused_in_one_sentence(read, content, sentence):
    with pytest.raises(DataError, match=sentence) as error:
        read(content)
    assert "labels.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_csv_that_may_not_be_read(tmp_path):
    with pytest.raises(DataError, match=r"labels\.csv cannot be read: "):
        read_labels(tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("identity", "file"),
    [
        ("tt1", "tt1.jpg"),
        ("tt1.jpg", "tt1.jpg"),
        ("tt1.JPG", "tt1.jpg"),
        ("tt1.jpg", "tt1.JPG"),
        ("tt1", "tt1.JPEG"),
        ("v1.5", "v1.5.png"),
        ("in/tt1", "in/tt1.jpg"),
        ("./tt1", "tt1.jpg"),
        ("Me\u0301lie\u0300s", "M\xe9li\xe8s.jpg"),
    ],
)
def test_an_id_is_a_files_name_with_or_without_its_ending(read, identity, file):
    found = match_files(read(f"Id,Drama\n{identity},1\nother,0\n"), ["other.png", file])
    assert found.files == tuple(sorted(["other.png", file]))
    assert found.targets[found.files.index(file)].tolist() == [True]
    assert not found.remarks


@pytest.mark.parametrize(
    ("rows", "files", "remarks"),
    [
        ("gone,1\nx.png,1\n", ["x.jpg"], {
            "ids without a file": ["gone: has no file", "x.png: has no file"],
            "files without a row": ["x.jpg: has no row"],
        }),
        ("gone,1\ngone,0\n", [], {"ids without a file": ["gone: has no file"]}),
        ("../b,1\n/b,1\nin/../../b,0\n.,1\n", [], {"ids that lead out of the folder": [
            f"{name}: is no file inside the folder" for name in ("../b", "/b", "in/../../b", ".")
        ]}),
        ("x,1\n", ["x.jpg", "x.png"], {"ids that several files fit": ["x: may be any of x.jpg, x.png"]}),
        ("x.jpeg,1\n", ["x.JPEG", "x.Jpeg"], {"ids that several files fit": ["x.jpeg: may be any of x.JPEG, x.Jpeg"]}),
        ("x,1\ny,0\nx,0\n", ["x.jpg"], {
            "ids without a file": ["y: has no file"],
            "files with rows that differ": ["x.jpg: has different labels on lines 3, 5"],
        }),
        ("x,1\nx.jpg,0\n", ["x.jpg"], {"files with rows that differ": ["x.jpg: has different labels on lines 3, 4"]}),
        (",1\n ,0\n", [], {"rows without an id": ["line 3: has no id", "line 4: has no id"]}),
    ],
)  # fmt: skip
def test_what_fits_nothing_is_left_out_and_named(read, rows, files, remarks):
    found = match_files(read(f"Id,Drama\nkept,1\n{rows}"), ["kept.png", *files])
    assert found.files == ("kept.png",)
    assert found.targets.tolist() == [[True]]
    assert found.remarks == remarks


def test_equal_rows_are_taken_once_and_an_exact_name_comes_first(read):
    found = match_files(read("Id,Drama\nx,1\nX.jpg,1\nx.jpg,1\nX.jpg,1\n"), ["x.jpg", "x.JPG", "X.jpg"])
    assert found.files == ("X.jpg", "x.jpg")
    assert found.remarks == {
        "ids that several files fit": ["x: may be any of x.JPG, x.jpg"],
        "files with equal rows, taken once": ["X.jpg: has the same labels on lines 3, 5"],
    }


def test_nothing_fits(read):
    found = match_files(read(PLAIN), [])
    assert found.files == ()
    assert found.targets.shape == (0, 2)
    assert len(found.remarks["ids without a file"]) == 3
