"""LEMUR's curation as one would write it in an afternoon: zipfile, ast, tokenize, and datasketch in its plain form."""

from __future__ import annotations

import ast
import io
import json
import sys
import time
import tokenize
import warnings
import zipfile
from pathlib import PurePosixPath
from typing import Any

from datasketch import MinHash, MinHashLSH

MODELS, TRIALS = "ab/nn/nn", "ab/nn/stat/train/"
METHODS = {"__init__", "forward", "train_setup", "learn"}
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
RETRIEVAL = 0.85


def read(wheel: str, limit: int | None) -> tuple[dict[str, str], dict[str, float], int]:
    """Return the models, their best CIFAR-10 accuracy after one epoch, and the number of trials."""
    models: dict[str, str] = {}
    best: dict[str, float] = {}
    trials = 0
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            path = PurePosixPath(name)
            if name.startswith(TRIALS) and path.suffix == ".json":
                records = json.loads(archive.read(name))
                trials += len(records)
                _, dataset, metric, model = path.parent.name.split("_", 3)
                if (dataset, metric, path.stem) == ("cifar-10", "acc", "1") and records:
                    best[model] = max(best.get(model, 0.0), *(record["accuracy"] for record in records))
            elif str(path.parent) == MODELS and path.suffix == ".py" and path.name != "__init__.py":
                models[path.stem] = archive.read(name).decode()
    return dict(list(models.items())[:limit]), best, trials


def meets_contract(text: str) -> bool:
    """Say whether a program has the class, its methods, and exactly the two hyperparameters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(text)
        except SyntaxError:
            return False
    net = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Net"), None)
    function: Any = next(
        (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "supported_hyperparameters"),
        None,
    )
    if net is None or function is None:
        return False
    methods = {node.name for node in net.body if isinstance(node, ast.FunctionDef)}
    keys = {node.value for node in ast.walk(function) if isinstance(node, ast.Constant)}
    return methods >= METHODS and keys == {"lr", "momentum"}


def sketch(text: str, *, size: int, permutations: int) -> MinHash:
    """Return the signature of a program's shingles."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    try:
        words = [token.string for token in tokens if token.type not in LAYOUT]
    except SyntaxError:  # tokenize refuses some indentation with tabs that ast reads
        words = text.split()
    made = MinHash(num_perm=permutations)
    for shingle in {" ".join(words[start : start + size]) for start in range(max(1, len(words) - size + 1))}:
        made.update(shingle.encode())
    return made


def main(text: str) -> None:
    """Curate, and print how many each stage kept."""
    job = json.loads(text)
    began = time.monotonic()
    models, best, trials = read(job["wheel"], job["limit"])
    sound = {name: source for name, source in models.items() if meets_contract(source)}
    seen: dict[str, str] = {}
    for name, source in sorted(sound.items(), key=lambda item: (-best.get(item[0], 0.0), item[0])):
        seen.setdefault(source, name)
    lsh = MinHashLSH(threshold=RETRIEVAL, num_perm=job["permutations"])
    kept: dict[str, MinHash] = {}
    for source, name in seen.items():
        made = sketch(source, size=job["shingle"], permutations=job["permutations"])
        if all(kept[near].jaccard(made) <= job["tau"] for near in lsh.query(made)):
            lsh.insert(name, made)
            kept[name] = made
    train = round(len(kept) * job["split"])
    counts = {"trials": trials, "models": len(models), "sound": len(sound), "texts": len(seen), "unique": len(kept)}
    sys.stdout.write(json.dumps(counts | {"pairs": 2 * train, "seconds": round(time.monotonic() - began, 1)}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
