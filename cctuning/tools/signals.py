"""Signals that ask a process to end."""

import signal


def ending_signals() -> list[signal.Signals]:
    """SIGTERM, and SIGHUP unless it is ignored, as under `nohup`: the terminal is gone, and work goes on."""
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is None or signal.getsignal(hang_up) == signal.SIG_IGN:
        return [signal.SIGTERM]
    return [signal.SIGTERM, hang_up]
