"""A plain evaluation of one program, piped into a container's Python after two lines that set SOURCE and JOB.

It takes the stages in the sandbox's order and on its data path, and prints one JSON object as its last line. With
JOB's `parse_first` a program that does not parse costs no import of torch.
"""
# ruff: noqa: F821, BLE001, E402, S102, TRY301 - SOURCE and JOB come before this text, and running a program is what it is for

import ast
import json
import sys
import types
from pathlib import Path

job = json.loads(JOB)
said = {"stage": "parse", "error": None, "mark": None}
if job["parse_first"]:
    try:
        ast.parse(SOURCE)
    except BaseException as error:
        sys.stdout.write("\n" + json.dumps(said | {"error": f"{type(error).__name__}: {error}"[:300]}) + "\n")
        sys.exit()

import numpy as np
import torch

from sandbox_image.data import Feeder, Normaliser

torch.set_num_threads(job["threads"])
torch.manual_seed(job["seed"])
device = torch.device(job["device"])
try:
    ast.parse(SOURCE)
    said["stage"] = "import"
    module = types.ModuleType("candidate")
    sys.modules["candidate"] = module
    exec(compile(SOURCE, "candidate.py", "exec"), module.__dict__)
    said["stage"] = "instantiate"
    net = module.Net(tuple(job["in_shape"]), (job["classes"],), dict(job["prm"]), device)
    said["stage"] = "forward"
    net.eval()
    with torch.no_grad():
        shape = tuple(net(torch.randn(*job["in_shape"])).shape)
    if shape != (job["batch"], job["classes"]):
        raise ValueError(f"forward gives shape {shape}")
    net.train()
    said["stage"] = "train"
    net.train_setup(dict(job["prm"]))
    net.learn(Feeder(folder=Path("/data"), job=job, device=device))
    said["stage"] = "predict"
    images = torch.from_numpy(np.load("/validation/images.npy"))
    normalise = Normaliser(mean=job["mean"], std=job["std"], device=device)
    net.eval()
    with torch.no_grad():
        answers = [net(normalise(batch)).argmax(dim=1) for batch in images.split(job["batch"])]
    said["predictions"] = torch.cat(answers).tolist()
    said["stage"] = "done"
except BaseException as error:
    said["error"] = f"{type(error).__name__}: {error}"[:300]
said["mark"] = globals().get("module") and getattr(module, "MARK", None)
sys.stdout.write("\n" + json.dumps(said) + "\n")
