#!/usr/bin/env bash
# Set-up of one machine, in steps that can be repeated: each looks first, says what it does, and does only what is missing.
#
#   docker/setup.sh venv     .venv in the checkout, with this project and its test tools
#   docker/setup.sh engine   a Docker engine that answers; where one does already, nothing of the system is touched
#   docker/setup.sh images   Fashion-MNIST's four files, for the quickstart
#   docker/setup.sh stop     ends the engine that this script started by itself, and no other
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly cache=${ORCHESTRATE_CACHE:-.cache}
readonly pid_file=$cache/dockerd.pid
readonly log_file=$cache/dockerd.log
readonly python=.venv/bin/python
readonly fashion=dataset-fashion-mnist
readonly fashion_folder=$cache/datasets/fashion-mnist
readonly start_seconds=60
engine_pid='' # of the dockerd that this script has started
export DEBIAN_FRONTEND=noninteractive

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

is_debian() { [ -r /etc/debian_version ] && command -v apt-get > /dev/null; }
is_debian_root() { is_debian && [ "$(id -u)" -eq 0 ]; }
has_service_manager() { [ -d /run/systemd/system ]; }

install_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg -s "$package" > /dev/null 2>&1 || missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    say "installing Debian packages: ${missing[*]}"
    apt-get update -q > /dev/null
    apt-get install -q -y "${missing[@]}" > /dev/null
}

# --- venv -----------------------------------------------------------------------------------------------------------

make_venv() {
    [ "$(uname -sm)" = "Linux x86_64" ] || fail "this is $(uname -sm); the image and its seccomp profile are for Linux on x86_64"
    local host_python=${PYTHON:-python3}
    command -v "$host_python" > /dev/null || fail "$host_python is not there; install Python 3.11 or newer"
    "$host_python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$("$host_python" --version) is too old: 3.11 or newer is needed (choose one with PYTHON=...)"
    if ! "$host_python" -c 'import ensurepip' 2> /dev/null; then
        is_debian_root || fail "$host_python cannot make virtual environments; on Debian: apt-get install python3-venv"
        install_packages python3-venv
    fi
    [ -x "$python" ] || { say "creating .venv with $("$host_python" --version)"; "$host_python" -m venv .venv; }
    say "installing this project and its test tools into .venv (PyTorch is large: some minutes)"
    "$python" -m pip install -qq --disable-pip-version-check --editable '.[test]'
}

# --- engine ---------------------------------------------------------------------------------------------------------

# prints how the engine answers; ends with 1 where none does, and with 2 where .venv cannot ask
engine_answers() {
    "$python" - 2> /dev/null << 'PYTHON'
import sys

try:
    from docker import from_env
except ImportError:
    sys.exit(2)

client = from_env(timeout=10)
print(f"engine {client.version()['Version']} at {client.api.base_url}")
PYTHON
}

ensure_engine() {
    local answer status=0
    [ -x "$python" ] || fail "there is no .venv to ask with; run docker/setup.sh venv first"
    answer=$(engine_answers) || status=$?
    case $status in
        0) say "$answer answers; nothing of the system is changed"; return ;;
        2) fail ".venv lacks the package docker; remove .venv and run this again" ;;
    esac
    [ "$(uname -s)" = Linux ] || fail "no Docker engine answers; the sandbox runs on Linux only"
    if [ -z "${DOCKER_HOST:-}" ] && grep -qsx dockerd /proc/[0-9]*/comm; then # a second one would take its socket away
        say "a dockerd runs and does not answer yet"
        await_engine
        return
    fi
    [ -z "${DOCKER_HOST:-}" ] || fail "no Docker engine answers at DOCKER_HOST=$DOCKER_HOST; start it or unset DOCKER_HOST"
    is_debian_root || fail "no Docker engine answers. Install Docker Engine 20.10.10 or newer, start it, and let this" \
        "user reach it (group docker); then run this again. Only on Debian, as root, is that done for you"
    if has_service_manager && command -v dockerd > /dev/null; then
        fail "Docker is installed but does not answer; start it (systemctl start docker) and run this again"
    fi
    install_engine
    has_service_manager || start_engine
    await_engine
}

install_engine() {
    local packages=(mmdebstrap)
    command -v dockerd > /dev/null || packages+=(docker.io)
    has_service_manager || packages+=(cgroupfs-mount)
    command -v runsc > /dev/null || ! apt-cache show runsc > /dev/null 2>&1 || packages+=(runsc)
    install_packages "${packages[@]}"
    # a first apt-get update may have been needed before runsc was known
    command -v runsc > /dev/null || ! apt-cache show runsc > /dev/null 2>&1 || install_packages runsc
}

start_engine() {
    local options=(--pidfile "$(realpath -m "$pid_file")")
    mkdir -p "$cache"
    if [ -e /etc/docker/daemon.json ]; then
        say "/etc/docker/daemon.json is used as it stands; gVisor is there only if it says so"
    elif command -v runsc > /dev/null; then
        # gVisor knows nothing of Docker's seccomp profile unless told; ptrace works where there is no /dev/kvm
        printf '{"runtimes": {"runsc": {"path": "%s", "runtimeArgs": %s}}}\n' "$(command -v runsc)" \
            '["--network=none", "--platform=ptrace", "--oci-seccomp"]' > "$cache/dockerd.json"
        options+=(--config-file "$(realpath "$cache/dockerd.json")")
    fi
    # the number of a dockerd that a restart ended may be another process's now, which a new one takes for itself
    [ "$(cat "/proc/$(cat "$pid_file" 2> /dev/null)/comm" 2> /dev/null)" = dockerd ] || rm -f "$pid_file"
    mountpoint -q /sys/fs/cgroup || { say "mounting the control groups"; cgroupfs-mount; }
    say "no service manager runs: starting dockerd by hand (log: $log_file, pid: $pid_file)"
    setsid nohup dockerd "${options[@]}" > "$log_file" 2>&1 < /dev/null &
    engine_pid=$!
}

await_engine() {
    local deadline=$((SECONDS + start_seconds)) answer
    until answer=$(engine_answers); do
        [ -z "$engine_pid" ] || kill -0 "$engine_pid" 2> /dev/null || fail "dockerd ended by itself; see $log_file"
        [ "$SECONDS" -lt "$deadline" ] || fail "the engine did not answer within $start_seconds s; see its log ($log_file where it was started here)"
        sleep 0.5
    done
    say "$answer answers"
}

stop_engine() {
    local pid
    pid=$(cat "$pid_file" 2> /dev/null) || { say "no engine of ours runs"; return; }
    if [ "$(cat "/proc/$pid/comm" 2> /dev/null)" = dockerd ]; then
        say "stopping the engine that was started here (pid $pid)"
        kill "$pid"
        tail --pid="$pid" -f /dev/null
    fi
    rm -f "$pid_file"
}

# --- images ---------------------------------------------------------------------------------------------------------

fetch_images() {
    if has_fashion /usr/share/datasets/fashion-mnist; then
        say "Fashion-MNIST is installed"
    elif has_fashion "$fashion_folder"; then
        say "Fashion-MNIST lies in $fashion_folder"
    elif is_debian; then
        unpack_fashion || say "Debian's package $fashion could not be fetched; put its four files into $fashion_folder"
    else
        say "Fashion-MNIST is not here; put its four .gz files into $fashion_folder (the quickstart needs them)"
    fi
}

has_fashion() {
    local part
    for part in train-images-idx3 train-labels-idx1 t10k-images-idx3 t10k-labels-idx1; do
        [ -s "$1/$part-ubyte.gz" ] || return 1
    done
}

# called where a failure is no end of the script, so each step says itself what follows when it fails
unpack_fashion() {
    local work
    work=$(mktemp -d)
    say "fetching Debian's package $fashion and unpacking it into $fashion_folder; it is not installed"
    (
        cd "$work"
        # apt's own user cannot write here; as root it would only warn about that
        apt-get -q -o APT::Sandbox::User=root download "$fashion" > /dev/null 2>&1 || {
            [ "$(id -u)" -eq 0 ] && apt-get update -q > /dev/null
            apt-get -q -o APT::Sandbox::User=root download "$fashion" > /dev/null
        }
        dpkg-deb -x "$fashion"_*.deb unpacked
    ) || { rm -rf "$work"; return 1; }
    mkdir -p "$fashion_folder" && rm -rf "$fashion_folder.part" \
        && cp -r "$work/unpacked/usr/share/datasets/fashion-mnist" "$fashion_folder.part" \
        && has_fashion "$fashion_folder.part" && mv "$fashion_folder.part"/*.gz "$fashion_folder"/ \
        || { rm -rf "$work" "$fashion_folder.part"; return 1; }
    rm -rf "$work" "$fashion_folder.part"
}

case "${1:-}" in
    venv) make_venv ;;
    engine) ensure_engine ;;
    images) fetch_images ;;
    stop) stop_engine ;;
    *) fail "usage: docker/setup.sh venv|engine|images|stop" ;;
esac
