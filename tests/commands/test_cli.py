"""What every command has in common."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from segmentstream_api.cli import COMMANDS
from segmentstream_api.testing import Peer
from tests.commands.folder import start, until

HELP = [
    [],
    ["init"],
    ["serve"],
    ["check"],
    ["send"],
    ["validate"],
    ["import"],
    ["token"],
    ["mock"],
    ["status"],
    ["dead-letters"],
    ["dead-letters", "list"],
    ["dead-letters", "show"],
    ["dead-letters", "replay"],
    ["dead-letters", "drop"],
    ["deliver"],
    ["store"],
    ["store", "move"],
    ["destinations"],
]


@pytest.mark.parametrize("columns", [60, 80, 300])
@pytest.mark.parametrize("command", HELP, ids=" ".join)
def test_every_help_fits_the_terminal_and_80_columns_and_ends_with_an_example(
    run, monkeypatch, command, columns
):
    monkeypatch.setenv("COLUMNS", str(columns))
    code, out, _ = run(*command, "--help")
    assert code == 0
    assert max(map(len, out.splitlines())) <= min(columns, 80)
    example = out.partition("\nExample:\n\n")[2].splitlines()
    assert example
    assert all(line.startswith("  segmentstream-api ") or " | " in line for line in example)


def test_every_command_is_in_the_main_help_and_its_help_is_tested_here(run):
    _, out, _ = run("--help")
    names = {command[0] for command in HELP if command}
    assert len(names) == len(COMMANDS)
    for name in names:
        assert f"\n  {name} " in out


def test_without_a_command_the_help_is_shown_and_the_exit_code_is_2(run):
    code, out, err = run()
    assert (code, out) == (2, "")
    assert "Example:" in err


@pytest.mark.parametrize(
    "argv",
    [["nonsense"], ["status", "--colour"], ["status", "--js"], ["dead-letters"], ["validate"]],
    ids=" ".join,
)
def test_wrong_usage_is_explained_and_ends_with_2(run, argv):
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert f"usage: segmentstream-api{'' if argv == ['nonsense'] else ' ' + argv[0]}" in err


@pytest.mark.parametrize(
    "argv", [["check"], ["status"], ["deliver"], ["dead-letters", "list"]], ids=" ".join
)
def test_a_configuration_with_problems_has_all_of_them_listed_and_ends_with_2(folder, run, argv):
    folder.configure("[store]\ncolour = 1\n[projects.shop]\ntokens = []\n")
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert "store.colour: " in err
    assert "projects.shop.tokens: " in err


def test_the_configuration_is_that_of_the_option_or_of_the_environment_or_here(
    folder, run, monkeypatch
):
    folder.wait("a")
    text = (folder / "segmentstream.toml").read_text()
    (folder / "other.toml").write_text(text.replace("crm", "erp"))

    def names(*argv):
        report = json.loads(run("status", "--json", *argv)[1])
        return {each["name"] for each in report["destinations"]}

    assert names() == {"archive", "crm"}
    monkeypatch.setenv("SEGMENTSTREAM_CONFIG", "other.toml")
    assert names() == {"archive", "erp"}
    assert names("--config", "segmentstream.toml") == {"archive", "crm"}
    monkeypatch.setenv("SEGMENTSTREAM_CONFIG", "")
    assert names() == {"archive", "crm"}


def test_what_cannot_be_printed_in_the_locale_is_escaped(folder, monkeypatch):
    folder.bury("a", name="Заказ")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    process = start("dead-letters", "list", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"")
    assert rb"\u0417\u0430" in out


def test_a_reader_that_has_enough_ends_it_quietly(folder):
    (folder / "bad.jsonl").write_text("{}\n" * 20_000)
    with start("validate", "bad.jsonl", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 141


def test_without_any_reader_it_ends_as_quietly(folder):
    ours, theirs = os.pipe()
    os.close(ours)
    process = start("status", stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    assert process.communicate(timeout=30)[1] == b""
    assert process.returncode == 141


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_full_disk_is_a_sentence(folder):
    with Path("/dev/full").open("wb") as full:
        process = start("status", stdout=full, stderr=subprocess.PIPE)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert err == b"segmentstream-api: No space left on device\n"


def test_ctrl_c_ends_it_with_130_and_without_a_traceback(folder):
    with Peer(None) as silent:
        process = start("send", "--url", silent.url, "--token", "t", stderr=subprocess.PIPE)
        until(lambda: silent.received)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"")


def test_it_runs_as_a_module_and_knows_its_version(folder):
    process = start("--version", stdout=subprocess.PIPE)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out.startswith(b"segmentstream-api ")
