"""``inoculate show``."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from inoculate.render._text import counted

if TYPE_CHECKING:
    from inoculate.store.manifest import Manifest


def show_command(
    artifact: str = typer.Argument(..., help="A detector or prior on disk, or a shipped prior."),
    json: bool = typer.Option(False, "--json", help="Print the whole manifest."),
) -> int:
    """Show what a detector is, what it was measured on and what it promises."""
    from inoculate.workflows.show import kept, show

    manifest = show(Path(artifact) if Path(artifact).exists() else artifact)
    if json:
        typer.echo(manifest.to_json().decode(), nl=False)
        return 0
    for name, text in lines(manifest):
        typer.echo(f"{name:<16}{text}")
    if manifest.artifact == "detector" and (records := kept(Path(artifact))):
        typer.echo(f"{'keeps':<16}{records}")
    return 0


def lines(manifest: "Manifest") -> Iterator[tuple[str, str]]:
    """Yield what a manifest says, as pairs of a short name and words."""
    yield manifest.artifact, f"{manifest.name}, made by inoculate {manifest.inoculate_version}"
    if manifest.version > 1 or manifest.parent:
        before = f", made from version {manifest.parent} by marking" if manifest.parent else ""
        yield "version", f"{manifest.version}{before}"
    if manifest.classes:
        yield "looks for", ", ".join(manifest.classes)
    n_columns = sum(len(view.columns) for view in manifest.views)
    yield "reads", f"{manifest.unit}s of kind {manifest.kind}, {n_columns} columns"
    chosen = ", ".join(f"{k}={v}" for k, v in sorted(manifest.learner.hyperparameters.items()))
    yield "learner", f"{manifest.learner.name}({chosen}), seed {manifest.learner.seed}"
    if manifest.prior:
        yield "prior", manifest.prior.name
    for entry in manifest.data:
        digest = f", sha256 {entry.sha256[:16]}…" if entry.sha256 else ""
        licence = f", {entry.licence}" if entry.licence else ""
        records = counted(entry.records, "pair" if entry.role == "pairs" else manifest.unit)
        yield entry.role, f"{entry.name}: {records}{licence}{digest}"
    for key, value in sorted(manifest.promises.items()):
        if value is not None:
            text = f"{value:.4g}" if isinstance(value, float) else value
            yield "promises", f"{key.replace('_', ' ')} {text}"
    if not manifest.measured:
        rest = "; the promises above rest on its own support set" if manifest.promises else ""
        yield "measured", f"nothing on unseen data in the artifact itself{rest}"
    for figure in manifest.measured:
        interval = f" [{figure.low:.3f}, {figure.high:.3f}]" if figure.low is not None else ""
        yield "measured", f"{figure.metric} {figure.value:.3f}{interval} on {figure.data}"
    for note in manifest.notes:
        yield "note", note
