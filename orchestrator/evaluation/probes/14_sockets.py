# limit: sockets
# asked: AF_UNIX only
# reads back: seccomp
families = {"INET": 2, "INET6": 10, "NETLINK": 16, "PACKET": 17, "ALG": 38, "VSOCK": 40}
all_refused({name: (socket.socket, number, socket.SOCK_DGRAM) for name, number in families.items()})
