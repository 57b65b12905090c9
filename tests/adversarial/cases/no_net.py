# expect: contract contract
import torch
