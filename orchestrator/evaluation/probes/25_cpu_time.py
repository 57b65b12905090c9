# limit: CPU time
# asked: {cpus:g} CPUs
# reads back: nano_cpus kernel_cpu_quota
# rationed: yes
end = time.monotonic() + 4
for _ in range(4):
    if os.fork() == 0:
        while time.monotonic() < end: pass
        os._exit(0)
for _ in range(4): os.wait()
held("four busy processes for 4 s")
