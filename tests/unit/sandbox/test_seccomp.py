"""The seccomp profile says what THREATS asks of it, whatever is added to it later."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.checkout import CHECKOUT

PROFILE = CHECKOUT / "docker" / "seccomp.json"
NEVER = (
    "ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp perf_event_open bpf userfaultfd seccomp "
    "io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key "
    "mount umount umount2 pivot_root fsopen fsconfig fsmount fspick open_tree move_mount mount_setattr chroot "
    "unshare setns flock open_by_handle_at name_to_handle_at mknod mknodat "
    "kexec_load kexec_file_load init_module finit_module delete_module "
    "reboot swapon swapoff settimeofday clock_settime iopl ioperm personality syslog acct quotactl"
).split()
SUPERVISOR = ("kill", "prctl", "setuid", "setgid", "setgroups", "setresuid", "setresgid", "clone", "wait4", "execve")
NEW_NAMESPACE = {
    "CLONE_NEWNS": 0x00020000,
    "CLONE_NEWCGROUP": 0x02000000,
    "CLONE_NEWUTS": 0x04000000,
    "CLONE_NEWIPC": 0x08000000,
    "CLONE_NEWUSER": 0x10000000,
    "CLONE_NEWPID": 0x20000000,
    "CLONE_NEWNET": 0x40000000,
}


@pytest.fixture(scope="module")
def profile() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(PROFILE.read_text(encoding="utf-8"))
    return parsed


def rules(profile: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [rule for rule in profile["syscalls"] if name in rule["names"]]


def test_what_is_not_named_is_denied(profile: dict[str, Any]) -> None:
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"


def test_only_the_native_architecture_may_call(profile: dict[str, Any]) -> None:
    assert profile["architectures"] == ["SCMP_ARCH_X86_64"]


@pytest.mark.parametrize("name", NEVER)
def test_no_rule_allows_a_dangerous_call(profile: dict[str, Any], name: str) -> None:
    assert {rule["action"] for rule in rules(profile, name)} == {"SCMP_ACT_ERRNO"}


@pytest.mark.parametrize("name", SUPERVISOR)
def test_the_supervisor_may_call_what_it_needs(profile: dict[str, Any], name: str) -> None:
    assert {rule["action"] for rule in rules(profile, name)} == {"SCMP_ACT_ALLOW"}


@pytest.mark.parametrize("flag", NEW_NAMESPACE.values(), ids=NEW_NAMESPACE)
def test_clone_makes_no_namespace(profile: dict[str, Any], flag: int) -> None:
    (rule,) = rules(profile, "clone")
    (argument,) = rule["args"]
    assert (argument["index"], argument["op"]) == (0, "SCMP_CMP_MASKED_EQ")
    assert flag & argument["value"] != argument.get("valueTwo", 0)


def test_clone3_answers_as_on_a_kernel_without_it(profile: dict[str, Any]) -> None:
    assert [rule["action"] for rule in rules(profile, "clone3")] == ["SCMP_ACT_TRACE"]


@pytest.mark.parametrize("name", ["socket", "socketpair"])
def test_sockets_are_of_the_unix_family_or_not_at_all(profile: dict[str, Any], name: str) -> None:
    (rule,) = rules(profile, name)
    assert rule["action"] == "SCMP_ACT_ALLOW"
    assert rule["args"] == [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]


@pytest.mark.parametrize(
    ("name", "index", "never"),
    [
        (
            "fcntl",
            1,
            {5, 6, 7, 8, 10, 36, 37, 38, 1024, 1026, 1031, 1033},
        ),  # locks, leases, watches, owners, sizes, seals
        ("prctl", 0, {15, 22, 24, 28, 35, 41, 47, 53, 59}),  # names, filters, capabilities, securebits, memory maps
        ("setsockopt", 2, {26, 50, 51, 52, 60}),  # filters
    ],
)
def test_only_listed_commands_of_a_call_are_allowed_each_by_its_whole_value(
    profile: dict[str, Any], name: str, index: int, never: set[int]
) -> None:
    conditions = [rule["args"] for rule in rules(profile, name)]
    assert len(conditions) > 5
    for condition in conditions:
        assert {argument["op"] for argument in condition} == {"SCMP_CMP_EQ"}
        assert len({argument["index"] for argument in condition}) == len(condition)  # runc makes an OR of others
    values = [argument["value"] for condition in conditions for argument in condition if argument["index"] == index]
    assert len(values) == len(conditions)
    assert not never & set(values)


def test_sockets_take_only_options_of_the_socket_level(profile: dict[str, Any]) -> None:
    for rule in rules(profile, "setsockopt"):
        assert {"index": 1, "value": 1, "op": "SCMP_CMP_EQ"} in rule["args"]


def test_every_name_stands_in_one_rule_with_its_reason_but_those_that_depend_on_arguments(
    profile: dict[str, Any],
) -> None:
    names = [name for rule in profile["syscalls"] if "args" not in rule for name in rule["names"]]
    assert len(names) == len(set(names))
    assert not set(names) & {name for rule in profile["syscalls"] if "args" in rule for name in rule["names"]}
    assert all(rule["comment"] for rule in profile["syscalls"])
