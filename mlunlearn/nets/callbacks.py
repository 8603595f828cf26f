"""What skorch's callbacks do beyond training: they write files, and end the training by an interrupt."""

from __future__ import annotations

import dis
import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from sklearn.base import clone
from skorch import NeuralNet
from skorch.callbacks import Callback, Checkpoint, TrainEndCheckpoint

_FILES = ("f_params", "f_optimizer", "f_criterion", "f_history", "f_pickle", "fn_prefix")


def on_no_disk(callbacks: Any) -> Any:
    """Copy callbacks, without the folders that they would make and fill.

    Parameters
    ----------
    callbacks : list of callback, list of (name, callback), str or None
        As skorch takes them.

    Returns
    -------
    same type as callbacks
        Fresh ones.
    """
    copies = clone(callbacks, safe=False)
    for part in copies if isinstance(copies, (list, tuple)) else ():
        callback = part[1] if isinstance(part, tuple) else part
        if isinstance(callback, (Checkpoint, TrainEndCheckpoint)):
            callback.dirname = ""
    return copies


@contextmanager
def files_in_passing(net: NeuralNet) -> Iterator[None]:
    """Let checkpoints be written to a folder that is gone when training ends, for a file keeps what the model forgets.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialised.
    """
    found = [callback for _, callback in net.callbacks_]
    found += [callback.checkpoint_ for callback in found if isinstance(callback, TrainEndCheckpoint)]
    checkpoints = [callback for callback in found if isinstance(callback, Checkpoint)]
    if not checkpoints:
        yield
        return
    with TemporaryDirectory() as folder:
        for place, callback in enumerate(checkpoints):
            callback.dirname = os.path.join(folder, str(place))
            os.mkdir(callback.dirname)
            for name in _FILES:
                if isinstance(getattr(callback, name), str):
                    setattr(callback, name, os.path.basename(getattr(callback, name)))
        yield


def ended_by_callback(interrupt: KeyboardInterrupt) -> bool:
    """Tell a callback that ends the training, as skorch's callbacks do, from a user who presses the keys.

    Parameters
    ----------
    interrupt : KeyboardInterrupt
        Caught.

    Returns
    -------
    bool
        True if a method of a callback raised it in so many words. A signal strikes between two instructions, and
        leaves no ``raise`` behind it.
    """
    trace = interrupt.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    instruction = dis.opname[trace.tb_frame.f_code.co_code[trace.tb_lasti]]
    return instruction == "RAISE_VARARGS" and isinstance(trace.tb_frame.f_locals.get("self"), Callback)
