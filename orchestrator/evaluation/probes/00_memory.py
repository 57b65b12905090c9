# limit: memory
# asked: {memory_mib} MiB
# ends as: out_of_memory
# reads back: memory kernel_memory
kept = []
while True: kept.append(torch.ones(1 << 22))
