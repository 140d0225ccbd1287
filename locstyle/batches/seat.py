"""A worker's process: `python -m locstyle.batches.seat SETTING`, started by `Local`.

Messages come in as lines of JSON and answers go out as such; whatever else is printed goes to
standard error.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from typing import IO

from locstyle.batches.launch import refusal
from locstyle.errors import LocstyleError
from locstyle.uncollected import uncollected


def main() -> None:
    """Does what it is told until nobody is there to tell it."""
    told: queue.SimpleQueue[str] = queue.SimpleQueue()
    answers = _private_output()
    threading.Thread(target=_hear, args=(told,), daemon=True).start()
    with uncollected():
        from locstyle.batches.worker import Setting, Worker

    try:
        worker = Worker(Setting(**json.loads(sys.argv[1])))
    except LocstyleError as error:
        _say(answers, refusal(error))
        os._exit(1)  # an orderly end would wait for whoever hears
    _say(answers, worker.facts)
    while True:
        _say(answers, worker.do(json.loads(told.get())))


def _hear(told: queue.SimpleQueue[str]) -> None:
    """Takes in lines, beside the work: their end means that there is nobody to work for."""
    for line in sys.stdin:
        told.put(line)
    os._exit(0)  # at once, in the middle of whatever is being done


def _private_output() -> IO[str]:
    """Standard output for answers alone; what plugins print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="surrogatepass")
    os.dup2(2, 1)
    return answers


def _say(answers: IO[str], message: dict[str, object]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
