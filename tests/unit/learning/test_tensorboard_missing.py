"""TensorBoard is an optional extra: without it the command says what to install."""

import sys
from pathlib import Path

import pytest

from adan_core.domain.errors import SystemFailure
from adan_core.learning.tensorboard import TensorboardLog


def test_without_tensorboard_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(SystemFailure, match=r"pip install 'adan\[tensorboard\]'"):
        TensorboardLog(tmp_path / "curves")
