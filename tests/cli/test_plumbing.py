"""The application itself: help at once, one line for every failure, exit codes."""

from __future__ import annotations

import contextlib
import errno
import importlib
import inspect
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time

import pytest
import typer

import seqplrp
from seqplrp.cli import app as application
from seqplrp.cli import options
from seqplrp.cli.stopping import Stopped
from seqplrp.errors import SeqplrpError
from seqplrp.storage import from_os_error

PROGRAM = [sys.executable, "-c", "import sys; from seqplrp.cli import main; sys.exit(main())"]


@pytest.fixture
def command(monkeypatch):
    """Make the application one with a single command ``try``, which does what the test says."""

    def set_up(action):
        app = typer.Typer()

        @app.callback()
        def root() -> None:
            pass

        @app.command("try")
        def attempt(count: int = typer.Option(1, min=1)) -> None:
            action()

        monkeypatch.setattr(application, "build_app", lambda: app)

    return set_up


def raising(error):
    def action():
        raise error

    return action


def test_help_names_every_command_and_imports_nothing_heavy():
    heavy = ["torch", "numpy", "pandas", "matplotlib", "sklearn", "h5py", "pybigtools", "Bio", "logomaker"]
    code = (
        "import sys; from seqplrp.cli import main; main(['--help']); "
        f"print('HEAVY', [m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("HEAVY []\n")
    for name in application.COMMANDS:
        assert f" {name} " in done.stdout


def test_help_answers_in_half_a_second():
    """Measured in processor time, the best of three: other processes share this machine."""

    def seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    times = []
    for _ in range(3):
        began = seconds()
        subprocess.run([*PROGRAM, "--help"], capture_output=True, check=True)
        times.append(seconds() - began)
    assert min(times) < 0.5


def test_every_command_has_help(run):
    for name in application.COMMANDS:
        done = run(name, "--help")
        assert done.code == 0
        assert name in done.out


def test_version_and_bare_call_end_well(run):
    assert run("--version").out == f"seqplrp {seqplrp.__version__}\n"
    assert "Usage" in run().out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["explian"], "error: seqplrp: no such command 'explian'"),
        (["--nothing"], "error: seqplrp: no such option:? '?--nothing"),
        (["explain", "--mdoel", "x"], "error: seqplrp explain: no such option:? '?--mdoel"),
        (["explain"], "error: seqplrp explain: --model is missing"),
        (["explain", "--model"], "error: seqplrp explain: option '--model' requires an argument"),
        (["explain", "--seed", "x"], "error: --seed: "),
        (["explain", "surplus", "--model", "m", "--fasta", "f", "--out", "o"], "error: seqplrp explain: "),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(run, arguments, line):
    done = run(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert re.match(line, done.err), done.err
    assert done.err.count("\n") == 1
    assert "; " in done.err


def test_an_error_the_user_can_mend_is_one_line(run, command):
    command(raising(SeqplrpError("x.fa, line 3", "letter 'J' is not DNA", "mend it")))
    done = run("try")
    assert (done.code, done.err) == (2, "error: x.fa, line 3: letter 'J' is not DNA; mend it\n")


def test_hostile_text_in_an_error_stays_on_its_line(run, command):
    command(raising(SeqplrpError("a\nb", "\x1b[31mred", "mend\rit")))
    done = run("try")
    assert done.err.count("\n") == 1
    assert "\x1b" not in done.err
    assert "\r" not in done.err


def test_a_fault_of_the_program_is_not_dressed_up_as_the_users(run, command):
    command(raising(KeyError("bug")))
    with pytest.raises(KeyError):
        run("try")


def test_ctrl_c_is_one_line_and_exit_code_130(run, command):
    command(raising(KeyboardInterrupt()))
    done = run("try")
    assert done.code == 130
    assert done.err.startswith("interrupted")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (Stopped(signal.SIGTERM), 143)])
@pytest.mark.parametrize("then", [AttributeError("half imported"), SeqplrpError("a", "b", "c"), OSError(28, "full")])
def test_what_fails_while_a_stopped_command_cleans_up_is_not_told_in_its_place(run, command, stop, code, then):
    """As where an import was stopped, and what sets things back needs that module."""

    def action():
        try:
            raise stop
        finally:
            raise then

    command(action)
    done = run("try")
    assert done.code == code
    assert done.err.count("\n") == 1
    assert "no output was written" in done.err


def test_an_error_after_a_stop_that_was_dealt_with_is_an_error(run, command):
    def action():
        with contextlib.suppress(KeyboardInterrupt):
            raise KeyboardInterrupt
        raise SeqplrpError("a", "b", "c")

    command(action)
    assert (run("try").code, run("try").err) == (2, "error: a: b; c\n")


@pytest.mark.parametrize(
    ("code", "reason"),
    [(errno.EACCES, "permission denied"), (errno.ENOSPC, "no space left"), (errno.ENOENT, "no such file")],
)
def test_a_failure_of_the_system_on_a_users_path_names_the_path(run, command, code, reason):
    command(raising(OSError(code, os.strerror(code), "/data/x.bw")))
    done = run("try")
    assert done.code == 2
    assert done.err.startswith(f"error: /data/x.bw: {reason}")
    assert done.err.count("\n") == 1


def test_a_full_disk_that_hdf5_reports_in_its_own_words_is_understood():
    text = "Can't write data (file write failed: time = now, errno = 28, error message = 'No space left on device')"
    assert "no space left" in str(from_os_error(OSError(text), place="out"))


def test_a_system_error_that_no_user_caused_is_shown_as_it_is(run, command):
    command(raising(OSError("unknown")))
    with pytest.raises(OSError, match="unknown"):
        run("try")


def test_a_reader_that_goes_away_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*PROGRAM, "--version"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_being_stopped_in_a_real_process_leaves_no_traceback_and_no_output(tmp_path, number, code):
    # what runs the tests may have these signals ignored, as nohup and a shell's & do
    script = f"""
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from pathlib import Path
import typer
from seqplrp.cli import app as application, main
from seqplrp.storage import output_directory
app = typer.Typer()
@app.callback()
def root(): pass
@app.command("wait")
def wait():
    with output_directory(Path({str(tmp_path / "deep" / "out")!r}), command="wait") as stage:
        (stage / "half").write_text("half")
        print("ready", flush=True)
        try:
            time.sleep(60)
        except Exception:
            pass
application.build_app = lambda: app
sys.exit(main(["wait"]))
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=-1, stderr=-1, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert err.count("\n") == 1
    assert "no output was written" in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_real_command_that_is_terminated_cleans_up(tmp_path):
    arguments = ["simulate", "--task", "decoys", "-n", "1000000", "--out", str(tmp_path / "out")]
    process = subprocess.Popen([*PROGRAM, *arguments], stdout=-1, stderr=-1, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()):  # it makes its temporary directory before any work
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "")
    assert err == "stopped by SIGTERM: no output was written\n"
    assert list(tmp_path.iterdir()) == []


def test_signals_that_others_handle_or_ignore_are_left_to_them(run, command):
    """As nohup does with SIGHUP, and as a program that calls `main` may with both."""
    seen = []
    command(lambda: seen.extend(signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)))
    before = signal.getsignal(signal.SIGTERM)

    def own(number, frame):
        pass

    try:
        signal.signal(signal.SIGTERM, own)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert run("try").code == 0
        assert seen == [own, signal.SIG_IGN]
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == seen
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        assert run("try").code == 0
        assert callable(seen[2])
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_commands_run_in_other_threads_too(run, command):
    """Where Python lets nobody handle signals."""
    done = []
    command(lambda: done.append("worked"))
    thread = threading.Thread(target=lambda: done.append(application.main(["try"])))
    thread.start()
    thread.join()
    assert done == ["worked", 0]


@pytest.mark.parametrize("other", ["filters", "audit"])
def test_options_of_one_name_are_declared_once(other):
    """Every option that commands on models share is one declaration, so that it can't mean two things."""
    differ = {"model", "fasta", "out", "method", "weights", "seed"}  # in their words, or in how many they take
    explain, theirs = (
        inspect.signature(getattr(importlib.import_module(f"seqplrp.cli.{name}"), name)).parameters
        for name in ("explain", other)
    )
    shared = set(explain) & set(theirs) - differ
    assert len(shared) > 18
    declared = list(vars(options).values())
    for name in shared:
        assert explain[name].annotation in declared, name
        assert explain[name].annotation == theirs[name].annotation, name
        assert explain[name].default == theirs[name].default, name
