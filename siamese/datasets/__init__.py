"""Data sets: where images come from, their columns, their splits. One file each."""
