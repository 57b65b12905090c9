# limit: swap
# asked: none beyond memory
# ends as: out_of_memory
# reads back: memory_swap kernel_memory_swap kernel_swap
kept = bytearray()
for _ in range(LIMITS["memory"] // (16 << 20) + 64): kept += b"x" * (16 << 20)
not_held("more memory than the limit could be touched")
