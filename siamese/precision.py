"""In which numbers this machine computes best."""

from __future__ import annotations

import torch


def best_precision() -> str:
    """Lightning's ``precision``: bfloat16 autocast where the hardware computes in it, else float32."""
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    if torch.backends.mps.is_available():
        return "32-true"
    return "bf16-mixed" if cpu_has_bfloat16() else "32-true"


def cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 matrices itself; others take hundreds of times as long as for float32."""
    # torch has no public question for it; without an answer, float32.
    return getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
