"""The runner: measures the cells of a panel that the store does not hold yet."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from capspace.tasks.panel import Panel, load_panel

from ..checkpoints.checkpoint import Checkpoint, resolve
from ..errors import CheckpointError, CollectError, NoCheckpointError
from ..harness.backends import DEFAULT_BACKEND, LoadOptions
from ..harness.data_root import DataRoot, default_data_root, named_data_root
from ..harness.harness import Harness
from ..runtime.distributed import is_helper
from ..runtime.log_capture import logged_to
from ..runtime.optional import require_collect_extra
from ..runtime.progress import ProgressDisplay, SilentProgress
from ..runtime.redaction import redacted
from ..runtime.signals import terminable
from ..storage.identity import Seeds
from ..storage.journal import open_journal
from ..storage.store import Store, default_store_path
from .collection import Collection
from .panel_run import PanelRun

__all__ = ["collect_scores"]


def collect_scores(
    models: str | Sequence[str],
    *,
    panel: str | Path | Panel = "classic-8",
    store: Store | Path | str | None = None,
    backend: str = DEFAULT_BACKEND,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int | str = "auto",
    parallelize: bool = False,
    limit: int | None = None,
    seed: int | None = None,
    data_root: DataRoot | Path | str | None = None,
    include_path: Path | None = None,
    chat_template: bool = False,
    allow_code_execution: bool = False,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
    token: str | None = None,
    progress: ProgressDisplay | None = None,
) -> Collection:
    """Measure models on a panel; what the store holds already is not measured again.

    Parameters
    ----------
    models : str or sequence of str
        Hub names ``org/model[@revision]`` or local folders.
    panel : str, Path or Panel
        A panel of the package, a YAML file, or a panel.
    store : Store, Path or str, optional
        Where results are kept; by default ``CAPSPACE_STORE`` or the user's data folder.
    backend : str
        Which of lm-eval's model classes answers, one of
        ``capspace.collect.harness.backends.BACKENDS``.
    device, dtype, batch_size, parallelize
        See ``capspace.collect.harness.backends.LoadOptions``.
    limit : int, optional
        Items per task; such scores are kept apart from full ones.
    seed : int, optional
        One seed for everything random; lm-eval's own four by default.
    data_root : DataRoot, Path or str, optional
        Folder that tasks read instead of the Hub; ``"embedded"`` is the one that comes with the
        package; by default ``CAPSPACE_DATA_ROOT``, else the Hub.
    include_path : Path, optional
        Folder with lm-eval task definitions of your own. Loading one runs the code it names.
    chat_template : bool
        Put prompts through the checkpoint's chat template.
    allow_code_execution : bool
        Score benchmarks that run code written by the model.
    allow_pickle, trust_remote_code : bool
        Load pickled weights, or run code that comes with a checkpoint.
    token : str, optional
        Hub token; by default the one that ``hf auth login`` keeps.
    progress : ProgressDisplay, optional
        What to tell meanwhile; nothing by default.

    Returns
    -------
    Collection
        The scores, and for each cell without one the reason.

    Raises
    ------
    CollectError
        Bad input: a store, data root, backend or limit that cannot be used, a name that stands
        for no checkpoint, or no checkpoint that can be used; one that cannot be among others is
        passed over, and its cells are missing.
    PanelError
        A panel that is not there or not valid.
    NothingMeasuredError
        Not one cell has a score, now or before.

    """
    require_collect_extra()
    if limit is not None and limit < 1:
        raise CollectError(f"limit is {limit}; it counts items per task and must be at least 1")
    options = LoadOptions(
        backend=backend,
        device=device,
        dtype=dtype,
        batch_size=batch_size,
        parallelize=parallelize,
        trust_remote_code=trust_remote_code,
        token=token,
    )
    chosen = panel if isinstance(panel, Panel) else load_panel(panel)
    root = _data_root(data_root)
    names = [models] if isinstance(models, str) else list(dict.fromkeys(models))
    if not names:
        raise CollectError("no model given")
    with (
        terminable(),
        _opened(store) as kept,
        logged_to(_log_file(kept)),
        open_journal(kept.path) as journal,
    ):
        find = partial(
            resolve,
            allow_pickle=allow_pickle,
            trust_remote_code=trust_remote_code,
            token=token,
            hash_file=kept.hash_file,
        )
        checkpoints, unusable = _resolve_all(names, find)
        run = PanelRun(
            panel=chosen,
            harness=Harness(chosen.benchmarks, data_root=root, include_path=include_path),
            store=kept,
            journal=journal,
            options=options,
            seeds=Seeds.of(seed),
            limit=limit,
            chat_template=chat_template,
            allow_code_execution=allow_code_execution,
            progress=_display(progress),
        )
        try:
            return run.collect(checkpoints, unusable)
        finally:
            run.progress.close()


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


def _data_root(given: DataRoot | Path | str | None) -> DataRoot | None:
    if given is None:
        return default_data_root()
    return given if isinstance(given, DataRoot) else named_data_root(given)


@contextmanager
def _opened(store: Store | Path | str | None) -> Iterator[Store]:
    if isinstance(store, Store):
        yield store
        return
    with Store(default_store_path() if store is None else Path(store)) as opened:
        yield opened


def _log_file(store: Store) -> Path:
    return store.logs_path / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.log"


def _display(given: ProgressDisplay | None) -> ProgressDisplay:
    if given is None or not is_helper():
        return SilentProgress() if given is None else given
    given.close()
    return SilentProgress()
