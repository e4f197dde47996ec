"""`netrollout export`: a configuration for another platform."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netrollout.places import read_numbers, read_pairs
from netrollout.store import write_file
from netrollout.types import InputError

if TYPE_CHECKING:
    from netrollout.connect.istio import Manifest

NODE = "K=NAME, each node once, such as 1=fast-pods"
app = typer.Typer(no_args_is_help=True, help="Take a configuration to another platform.")
HINT = "# Merge into a cluster: kubectl apply --server-side --force-conflicts --field-manager=netrollout -f FILE\n"


@app.callback()
def _export() -> None:
    """Keep `istio` a word of the command line while it is the only platform."""


@app.command()
def istio(
    system: Annotated[str, typer.Option(help="A mesh that `netrollout systems` lists.")],
    setting: Annotated[str, typer.Option(metavar="NAME=VALUE,..", help="Value of every control, as p=0.8,c=3.")],
    block: Annotated[
        list[str] | None, typer.Option(metavar="SERVICE=SHARE", help="Blocking rate; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE|FOLDER", help="One file (.yaml), or a folder; default: print.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Host of the requests; default: the system's name.")] = None,
    namespace: Annotated[str, typer.Option(help="Of all objects.")] = "default",
    node: Annotated[
        list[str] | None, typer.Option(metavar="K=NAME", help="Service and Deployment of node K; default nodeK.")
    ] = None,
    workers: Annotated[
        str, typer.Option(help="replicas: a worker is a pod; cpu: a share of a CPU limit.")
    ] = "replicas",
    quota: Annotated[float, typer.Option(help="CPU limit of a worker, cores.")] = 0.2,
    container: Annotated[str, typer.Option(help="Whose CPU limit is set.")] = "worker",
) -> None:
    """Render a setting as an Istio VirtualService and a patch of each Deployment that it scales."""
    from netrollout.connect.istio import layout_of

    mesh = _mesh(system)
    levels = mesh.setting(read_numbers(setting, "--setting"))
    values = {c.name: c.levels[level] for c, level in zip(mesh.controls, levels, strict=True)}
    blocked = read_numbers(",".join(block), "--block", "SERVICE=SHARE") if block else {}
    values |= {f"b_{s}": share for s, share in blocked.items()}
    layout = layout_of(system, mesh.controls, _nodes(node or []), host=host, namespace=namespace, workers=workers,
                       quota=quota, container=container)  # fmt: skip
    objects = layout.objects(values)
    if out is None:
        print(_text(objects), end="")
    else:
        for path, text in _files(out, objects).items():
            write_file(path, text)


def _text(objects: list[Manifest]) -> str:
    from netrollout.connect.istio import to_yaml

    return HINT + to_yaml(objects)


def _mesh(name: str) -> Any:
    from netrollout.catalog import outline

    system = outline(name)
    if not hasattr(system, "controls"):
        raise InputError(f"--system {name}: no mesh; its action moves no routing weights and workers of nodes")
    return system


def _nodes(texts: list[str]) -> dict[int, str]:
    pairs = read_pairs(texts, "--node", NODE)
    for number in pairs:
        if not number.isdecimal():
            raise InputError(f"--node {number}={pairs[number]}: expected {NODE}")
    return {int(number): name for number, name in pairs.items()}


def _files(out: Path, objects: list[Manifest]) -> dict[Path, str]:
    """Return file -> text: one of all objects, or one each in a folder, which is made."""
    if out.suffix in (".yaml", ".yml") and not out.is_dir():
        return {out: _text(objects)}
    if out.suffix and not out.is_dir():
        raise InputError(f"--out {out}: expected a file that ends in .yaml or .yml, or a folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: {error.strerror}; give a file or a folder that can be written") from None
    names = [f"{o['kind'].lower()}-{o['metadata']['name']}.yaml" for o in objects]
    return {out / name: _text([o]) for name, o in zip(names, objects, strict=True)}
