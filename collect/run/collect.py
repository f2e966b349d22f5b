"""``collect_scores`` measures the cells of a panel that the store does not hold yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from capspace.tasks.panel import Panel, load_panel

from ..checkpoints.checkpoint import Checkpoint, resolve
from ..endpoint.address import served_checkpoint
from ..errors import CheckpointError, CollectError, NoCheckpointError, SettingsError
from ..harness.backends import pick_device
from ..harness.data_root import chosen_data_root
from ..harness.harness import Harness
from ..runtime.distributed import group_size, is_helper
from ..runtime.log_capture import logged_to
from ..runtime.optional import require_collect_extra
from ..runtime.progress import ProgressDisplay, SilentProgress
from ..runtime.redaction import redacted
from ..runtime.signals import terminable
from ..settings import DEFAULT_PANEL, TRANSFORMERS_BACKENDS, RunChanges, RunSettings
from ..storage.journal import open_journal
from ..storage.result_store import ResultStore
from ..storage.store import Store, default_store_path
from .collection import Collection
from .panel_run import PanelRun

if TYPE_CHECKING:
    from capspace.fit.decide._noise_effect import PredictedWidths

__all__ = ["collect_scores"]


def collect_scores(
    models: str | Sequence[str],
    *,
    panel: str | Path | Panel = DEFAULT_PANEL,
    store: ResultStore | Path | str | None = None,
    settings: RunSettings | None = None,
    progress: ProgressDisplay | None = None,
    widths: PredictedWidths | None = None,
    **changes: Unpack[RunChanges],
) -> Collection:
    """Measure models on a panel; what the store holds already is not measured again.

    Parameters
    ----------
    models : str or sequence of str
        Hub names ``org/model[@revision]`` or local folders; with an ``endpoint``, the names that
        its server has for them.
    panel : str, Path or Panel
        A panel of the package, a YAML file, or a panel.
    store : ResultStore, Path or str, optional
        Where results are kept; by default ``CAPSPACE_STORE`` or the user's data folder.
    settings : RunSettings, optional
        How the models are loaded, and what is measured of them; by default ``RunSettings()``.
    progress : ProgressDisplay, optional
        Receives the progress; nothing is shown by default.
    widths : PredictedWidths, optional
        Of the targets that decide when measuring ends, with the setting ``until``; by default all
        that the packaged reference for the panel predicts.
    **changes
        Fields of ``RunSettings`` that replace those of ``settings``, such as ``limit=100`` or
        ``device="cuda:1"``.

    Returns
    -------
    Collection
        The scores, and for each cell without one the reason.

    Raises
    ------
    SettingsError
        A keyword that is no setting, or a value that a setting does not take.
    CollectError
        Bad input: a store or data root that cannot be used, a name that stands for no checkpoint,
        or no checkpoint that can be used; one that cannot be among others is passed over, and its
        cells are missing.
    PanelError
        A panel that is not there or not valid.
    NothingMeasuredError
        Not one cell has a score, now or before.

    See Also
    --------
    place : Also places the model and writes its report.
    Collection : What is returned.

    Examples
    --------
    >>> from capspace.collect import collect_scores
    >>> collection = collect_scores(
    ...     "my-model", panel="smoke", data_root="embedded", limit=1, store="store"
    ... )
    >>> [cell.benchmark for cell in collection.missing]  # it runs code: allow_code_execution
    ['HumanEval']

    """
    require_collect_extra()
    chosen = (settings or RunSettings()).with_changes(
        changes, known=("panel", "store", "settings", "progress")
    )
    measured = panel if isinstance(panel, Panel) else load_panel(panel)
    root = chosen_data_root(chosen.data_root)
    names = [models] if isinstance(models, str) else list(dict.fromkeys(models))
    if not names:
        raise CollectError("no model given")
    deciding = None if chosen.until is None else _deciding(measured, widths)
    with terminable(), _opened(store) as opened, logged_to(opened.log_file), ExitStack() as stack:
        find = partial(_resolved, settings=chosen, hash_file=opened.hash_file)
        checkpoints, unusable = _resolve_all(names, find)
        harness = Harness(measured.benchmarks, data_root=root, include_path=chosen.include_path)
        if isinstance(opened, Store):
            opened.make()  # only now, so that what is refused leaves nothing behind
        journal = stack.enter_context(open_journal(opened.path))
        parts: dict[str, Any] = {
            "panel": measured,
            "harness": harness,
            "store": opened,
            "journal": journal,
            "settings": chosen,
            "progress": _display(progress),
        }
        run = PanelRun(**parts)
        if deciding is not None:
            from .stopping import StoppingRun

            run = StoppingRun(**parts, widths=deciding)
        try:
            return run.collect(checkpoints, unusable)
        finally:
            run.progress.close()


def _resolved(name: str, *, settings: RunSettings, hash_file: Callable[[Path], str]) -> Checkpoint:
    """Return a checkpoint that can be measured as settings say, as far as its files tell."""
    if settings.endpoint is not None:
        return served_checkpoint(name, settings)
    checkpoint = resolve(
        name,
        allow_pickle=settings.allow_pickle,
        trust_remote_code=settings.trust_remote_code,
        token=settings.hub_token,
        hash_file=hash_file,
    )
    if settings.applies_template:
        checkpoint.require_chat_template()
    if settings.backend in TRANSFORMERS_BACKENDS:
        checkpoint.require_loadable(partial(pick_device, settings.device))
    return checkpoint


def _deciding(panel: Panel, given: PredictedWidths | None) -> PredictedWidths:
    """Return the targets that decide when measuring ends; refuse a run that none could end."""
    from capspace.fit.decide._noise_effect import PredictedWidths
    from capspace.fit.reference import choose_reference, load_reference

    if group_size() > 1:
        raise SettingsError("until works in one process only; run a single process")
    benchmarks = [benchmark.name for benchmark in panel.benchmarks]
    if given is None:
        given = PredictedWidths(load_reference(choose_reference(benchmarks).name))
    given.check(benchmarks)
    return given


def _resolve_all(
    names: Sequence[str], find: Callable[[str], Checkpoint]
) -> tuple[tuple[Checkpoint, ...], dict[str, str]]:
    """Return the checkpoints, and by name why others cannot be used; one must be usable."""
    checkpoints: list[Checkpoint] = []
    unusable: dict[str, str] = {}
    for name in names:
        try:
            checkpoints.append(find(name))
        except NoCheckpointError:
            raise
        except CheckpointError as error:
            if len(unusable) == len(names) - 1:
                raise
            folder = Path(name).expanduser()
            unusable[folder.resolve().name if folder.is_dir() else name] = redacted(str(error))
    return tuple(checkpoints), unusable


@contextmanager
def _opened(store: ResultStore | Path | str | None) -> Iterator[ResultStore]:
    if isinstance(store, ResultStore):
        yield store
        return
    named = default_store_path() if store is None else Path(store)
    with Store(named, create=False) as opened:
        yield opened


def _display(given: ProgressDisplay | None) -> ProgressDisplay:
    if given is None or not is_helper():
        return SilentProgress() if given is None else given
    given.close()
    return SilentProgress()
