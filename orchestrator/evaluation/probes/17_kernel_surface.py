# limit: kernel surface
# asked: denied
# reads back: seccomp
numbers = {"io_uring_setup": 425, "bpf": 321, "keyctl": 250, "add_key": 248, "userfaultfd": 323,
           "perf_event_open": 298, "kexec_load": 246, "init_module": 175, "open_by_handle_at": 304}
all_refused({name: (call, number, 0, 0, 0, 0, 0) for name, number in numbers.items()})
