# What every probe begins with: the least program that meets the contract, and words to say what happened.
import ctypes, errno, os, resource, signal, socket, sys, threading, time
import torch
import torch.nn as nn

LIBC = ctypes.CDLL(None, use_errno=True)

class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device): ...
    def forward(self, x): ...
    def train_setup(self, prm): ...
    def learn(self, train_data): ...

def supported_hyperparameters(): return {"lr", "momentum"}

def held(why): raise RuntimeError(f"held: {why}")

def not_held(why): raise RuntimeError(f"NOT HELD: {why}")

def refused(action, *arguments):
    try:
        action(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return None

def call(number, *arguments):
    if LIBC.syscall(number, *arguments) == -1:
        raise OSError(ctypes.get_errno(), "refused")

def all_refused(attempts):
    answers = {name: refused(*attempt) for name, attempt in attempts.items()}
    let_through = [name for name, answer in answers.items() if answer is None]
    if let_through:
        not_held(", ".join(let_through))
    held(", ".join(f"{name} {answer}" for name, answer in answers.items()))
