"""Who may command: the operating system's user behind a process or a socket, and typed words."""

import hmac
import os
import pwd
import socket
import struct
import sys
from pathlib import Path

from adan_core.domain.errors import SecurityError

_LINUX_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
_BSD_CREDENTIALS = struct.Struct("IIh16I")  # struct xucred: version, uid, group count, groups
_BSD_SOL_LOCAL, _BSD_LOCAL_PEERCRED = 0, 1


def current_user() -> str:
    """Return the name of the user this process acts as, ``uid N`` where the system has none."""
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def require_owner(path: Path) -> None:
    """Raise SecurityError when an existing ``path`` belongs to another user than this process."""
    try:
        owner = path.stat().st_uid
    except FileNotFoundError:
        return
    if owner != os.geteuid():
        raise SecurityError(
            f"{path} belongs to uid {owner}, and this process acts as {current_user()}",
            "the operator who owns ADAN's files",
            "run ADAN as their owner, or give another folder with --home",
        )


def peer_uid(connection: socket.socket) -> int:
    """Return the uid of the process at the other end of a connected Unix socket.

    Linux answers through SO_PEERCRED (unix(7)), macOS and the BSDs through LOCAL_PEERCRED, which
    is what getpeereid(3) reads. Raises SecurityError where the system cannot tell.
    """
    try:
        if sys.platform.startswith("linux"):
            data = connection.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, _LINUX_CREDENTIALS.size
            )
            return int(_LINUX_CREDENTIALS.unpack(data)[1])
        data = connection.getsockopt(_BSD_SOL_LOCAL, _BSD_LOCAL_PEERCRED, _BSD_CREDENTIALS.size)
        return int(struct.unpack_from("II", data)[1])
    except (OSError, struct.error) as error:
        raise SecurityError(
            f"the system does not tell who is at the other end of the socket: {error}",
            "a Unix socket with peer credentials",
        ) from error


def require_same_user(connection: socket.socket) -> None:
    """Raise SecurityError unless the peer of a Unix socket is this process's own user."""
    uid = peer_uid(connection)
    if uid != os.geteuid():
        raise SecurityError(
            f"uid {uid} is at the other end of the control socket",
            f"uid {os.geteuid()}, the operator",
            "run the command as the user who runs the core",
        )


def word_matches(typed: str, expected: str) -> bool:
    """Return whether the typed word is exactly the expected one, in constant time."""
    return hmac.compare_digest(typed.encode(), expected.encode())


def require_word(typed: str, expected: str) -> None:
    """Raise SecurityError unless ``typed`` is exactly the confirmation word ``expected``."""
    if not word_matches(typed, expected):
        raise SecurityError(
            "the typed word is not the one asked for",
            f"exactly {expected}, in capitals, nothing around it",
            "type it again",
        )
