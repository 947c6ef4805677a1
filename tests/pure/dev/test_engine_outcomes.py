"""What is told of an engine that was tried, from a report in JUnit's form."""

from __future__ import annotations

from dev.engines.kinds import KINDS
from dev.engines.known import KNOWN
from dev.engines.outcome import Outcome, outcome, table

REPORT = """<testsuites><testsuite>
<properties><property name="engine" value="28.5.2"/><property name="store" value="overlayfs"/></properties>
<testcase classname="tests.real.test_docker_engine.TestDockerEngine" name="test_ping_returns"/>
<testcase classname="tests.real.test_docker_engine" name="test_limits_hold">
<failure message="AssertionError: 1 == 2&#10;where 1 = f()"/></testcase>
<testcase classname="tests.real.test_docker_engine" name="test_elsewhere"><skipped message="no"/></testcase>
<testcase classname="tests.real.test_story_updates" name="test_rolled_back">
<error message="ServerFailed"/></testcase>
</testsuite></testsuites>"""


def test_each_test_counts_once_and_a_failure_says_why() -> None:
    found = outcome(REPORT, "docker", "containerd")
    assert (found.engine, found.store) == ("docker 28.5.2", "overlayfs")
    assert (found.promises, found.stories) == (2, 1)
    assert found.broken == {"test_limits_hold": "1 == 2", "test_rolled_back": "ServerFailed"}
    assert found.of_promises == {"test_limits_hold"}
    assert found.unexpected({"test_limits_hold": "it lacks cgroups"}) == ["test_rolled_back"]


def test_the_table_says_what_is_known_and_what_is_not() -> None:
    known = {"test_limits_hold": "it lacks cgroups"}
    good, none = Outcome("docker 20", "overlay2", 2, 1), Outcome("podman", "its own", trouble="no end")
    lines = table([(good, {}), (outcome(REPORT, "docker", ""), known), (none, {})]).splitlines()
    assert [line.split("  ")[0].strip() for line in lines[1:4]] == ["docker 20", "docker 28.5.2", "podman"]
    assert "1 of 2" in lines[2] and "0 of 1" in lines[2] and lines[2].endswith("1")
    assert lines[3].endswith("no end")
    assert lines[5:] == [
        "docker 28.5.2, overlayfs, does not keep:",
        "  limits hold: it lacks cgroups",
        "  rolled back: NOT EXPECTED: ServerFailed",
    ]


def test_a_report_without_properties_names_what_was_asked_for() -> None:
    assert outcome("<testsuite/>", "docker", "classic") == Outcome("docker", "classic")


def test_only_kinds_that_are_tried_have_known_lacks() -> None:
    assert set(KNOWN) <= {kind.name for kind in KINDS}
