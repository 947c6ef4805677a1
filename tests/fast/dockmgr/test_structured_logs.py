"""Log lines as JSON: one document each, with what the line is about, and without secrets."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from dockmgr.logs.format import JsonFormatter
from instances.checks import sweeps
from instances.checks.record import record
from instances.lib.log_context import about
from instances.lib.redact import RedactingFilter
from tasks.app import app
from tests.factories import World, a_failure

TOP = Path(__file__).resolve().parents[3]
SECRET = "sk-ant-" + "s3ntinel" * 4
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What the loggers of dockmgr wrote since the test began, as documents."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(RedactingFilter())
    handler.setFormatter(JsonFormatter())
    loggers = [logging.getLogger(name) for name in ("instances", "tasks", "tests")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel("INFO")
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


def test_a_line_is_one_document_whatever_its_text() -> None:
    hostile = 'two\nlines, "quotes", \x1b[31m, \x00, \udcff and \u2028'
    told = {"name": "tests", "levelname": "WARNING", "msg": "%s", "args": (hostile,)}
    [text] = JsonFormatter().format(logging.makeLogRecord(told)).splitlines()
    line = json.loads(text)
    assert (line["level"], line["logger"], line["message"]) == ("WARNING", "tests", hostile)
    assert line["time"].endswith("Z") and line["time"][10] == "T" and len(line["time"]) == 24
    assert set(line) == {"time", "level", "logger", "message"}


def test_a_traceback_is_part_of_the_document_and_secrets_are_nowhere(lines: Lines) -> None:
    try:
        raise ValueError(f"API_KEY={SECRET}")
    except ValueError:
        logging.getLogger("tests").exception("With %s", SECRET, stack_info=True)
    [line] = lines()
    assert "ValueError" in line["exception"] and "test_structured_logs" in line["stack"]
    assert SECRET not in str(line)


def test_lines_of_an_operation_carry_its_id_and_customer(world: World, lines: Lines) -> None:
    world.instance("c1")
    operation = world.restart("c1")
    about_it = [line for line in lines() if line["logger"] == "instances.operations.runner"]
    assert about_it
    for line in about_it:
        assert (line["operation_id"], line["customer_id"]) == (str(operation.pk), "c1")
    logging.getLogger("tests").info("afterwards")
    assert "operation_id" not in lines()[-1]


def test_a_change_of_status_carries_customer_and_sweep(world: World, lines: Lines) -> None:
    instance = world.instance("c1")
    sweep = sweeps.start(world.now, 900)
    record([a_failure(world, instance, "exited", sweep_id=str(sweep.pk))], world.now)
    [line] = [line for line in lines() if line["logger"] == "instances.checks.record"]
    assert (line["customer_id"], line["sweep_id"]) == ("c1", str(sweep.pk))
    assert line["message"].startswith("c1: healthy -> unhealthy.")


def test_names_nest_and_end_with_their_block(lines: Lines) -> None:
    logger = logging.getLogger("tests")
    with about(sweep_id="s"):
        with about(customer_id="c"):
            logger.info("inner")
        logger.info("outer")
    logger.info("none")
    found = [{k: v for k, v in line.items() if k.endswith("_id")} for line in lines()]
    assert found == [{"sweep_id": "s", "customer_id": "c"}, {"sweep_id": "s"}, {}]


def test_lines_of_a_task_carry_its_id(lines: Lines) -> None:
    @app.task(name="tests.telling", shared=False)
    def telling() -> None:
        logging.getLogger("tests").info("from within")

    result = telling.apply(task_id="task-1")
    del app.tasks["tests.telling"]
    assert result.successful()
    assert [line["task_id"] for line in lines() if line["message"] == "from within"] == ["task-1"]


LOGS_ALONE = (  # what django.setup() begins with; loading the applications after it takes a second
    "from django.conf import settings; from django.utils.log import configure_logging; "
    "configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)"
)


def test_the_environment_chooses_the_format(tmp_path: Path) -> None:
    usual: Any = settings.LOGGING["handlers"]
    assert usual["stderr"]["formatter"] == "plain"
    program = f"{LOGS_ALONE}; import logging; logging.getLogger('instances').info('token=%s', 's3ntinel')"
    environ = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "dockmgr.settings",
        "DOCKMGR_HOME": str(tmp_path),
        "DOCKMGR_LOG_FORMAT": "json",
    }
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, cwd=TOP, env=environ, capture_output=True, text=True, check=True)
    line = json.loads(done.stderr)
    assert (line["logger"], line["message"]) == ("instances", "token=[redacted]")
