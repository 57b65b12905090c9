# The image that candidates run in: Python 3.11, torch, numpy and sandbox_image, root-owned, without setuid files.
#
# `orchestrate image build` sends this file with a context of three things: `wheels/` (fetched on the host for
# Python 3.11), `requirements.txt` (the variant's) and `sandbox_image/`. No step needs a network.

ARG BASE=python:3.11-slim-bookworm

# --- everything that changes rarely -----------------------------------------------------------------------------
FROM ${BASE} AS system

COPY wheels /wheels
COPY requirements.txt /wheels/requirements.txt

# One fixed folder for all packages, whatever the base calls its own, so that the host needs no knowledge of it.
RUN set -eu; \
    python3 -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "the base must hold Python 3.11")'; \
    PYTHONPATH=$(echo /wheels/pip-*.whl) python3 -m pip install --quiet --no-index --find-links /wheels --no-compile \
        --root-user-action ignore --target /usr/local/lib/sandbox --requirement /wheels/requirements.txt; \
    site=$(python3 -c 'import site; print(site.getsitepackages()[0])'); \
    mkdir -p "$site"; \
    echo /usr/local/lib/sandbox > "$site/sandbox.pth"; \
    rm -rf /wheels

# Without a compiler torch's headers are of no use; neither are documentation, package caches and third-party tests.
RUN set -eu; \
    cd /usr/local/lib/sandbox; \
    rm -rf bin torch/include torch/share torch/test; \
    find torch/lib -name '*.a' -delete; \
    find numpy sympy networkx mpmath -type d -name tests -prune -exec rm -rf {} +; \
    rm -rf /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale /usr/share/perl \
        /var/cache/apt /var/lib/apt/lists /var/log /root/.cache; \
    mkdir -p /var/log /var/cache /data/train; \
    find / -xdev -type f -perm /6000 -exec chmod ug-s {} +

# Hash-based bytecode that is never checked again: it stays valid although the next stage changes time stamps.
RUN set -eu; \
    stdlib=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))'); \
    python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -x '/test/|/tests/|py312_' "$stdlib" \
        /usr/local/lib/sandbox; \
    python3 -I -c 'import torch, numpy, torch.optim'

# --- one flat layer: no earlier layer still holds wheels, pip's traces or setuid files ------------------------------
FROM scratch

COPY --from=system / /

ENV PATH=/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    HOME=/tmp \
    USER=candidate \
    PYTHONHASHSEED=0 \
    PYTHONDONTWRITEBYTECODE=1

COPY sandbox_image /usr/local/lib/sandbox/sandbox_image
RUN ["python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "/usr/local/lib/sandbox/sandbox_image"]

WORKDIR /tmp
