"""Two real processes, joined by gloo, share an epoch: nothing twice, nothing left out."""

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from siamese.datasets.glyphs import Glyphs
from siamese.sampling.batches import BatchStream, ClassBatches, PairBatches, Sampler
from siamese.tables import Table


def share(rank: int, world: int, store: str, sampler: Sampler, table: Table, found) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    stream = BatchStream(
        lambda epoch: sampler.epoch(table, 1, 0, epoch), lambda: (3, 0), dist.get_rank(), dist.get_world_size()
    )
    mine = torch.stack([batch.rows for batch in stream])
    everyone = [torch.empty_like(mine) for _ in range(world)]
    dist.all_gather(everyone, mine)
    if rank == 0:
        found.put([part.tolist() for part in everyone])
    dist.destroy_process_group()


def test_shards_are_disjoint_and_their_union_is_the_epoch(tmp_path):
    table = Glyphs(alphabets=3, characters=(4, 4), drawers=4, size=16).load()
    for number, sampler in enumerate((ClassBatches(4, 2, 2, 6), PairBatches(48, 8, 0))):
        context = mp.get_context("spawn")
        found = context.SimpleQueue()
        mp.spawn(share, (2, str(tmp_path / f"store{number}"), sampler, table, found), nprocs=2)
        first, second = found.get()
        whole = sampler.epoch(table, 1, 0, 3).rows.tolist()
        assert len(first) == len(second) == 3
        assert sorted(first + second) == sorted(whole)
        assert first == whole[0::2]
        assert second == whole[1::2]
