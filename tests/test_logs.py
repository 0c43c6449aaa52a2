"""What an operation logs is kept for it, whatever else is shown."""

import structlog

from ktrdr.logs import OperationLogs, configure_logging, get_logger, operation_context


def test_each_operation_has_its_own_lines(tmp_path, capsys):
    """From INFO up, also where nothing is shown; what belongs to no operation is kept for none."""
    logs = OperationLogs(tmp_path / "logs")
    configure_logging(operations=logs)
    log = get_logger("test")
    log.info("nobody's")
    for name in ("a", "b"):
        with operation_context(name):
            log.info("step", rows=3)
            log.debug("detail")
            try:
                raise ZeroDivisionError("by zero")
            except ZeroDivisionError:
                log.exception("broke")
    assert capsys.readouterr().err == ""
    assert [line["event"] for line in logs.read("a")] == ["step", "broke"]
    assert logs.read("b")[0]["rows"] == 3
    assert "ZeroDivisionError" in logs.read("b")[1]["exception"]
    configure_logging(level="ERROR", operations=logs)
    with operation_context("a"):
        get_logger("test").info("quiet")
        get_logger("test").error("loud")
    assert "quiet" not in (shown := capsys.readouterr().err)
    assert "loud" in shown
    assert [line["event"] for line in logs.read("a")] == ["step", "broke", "quiet", "loud"]
    structlog.reset_defaults()


def test_a_line_that_a_crash_cut_off_is_left_out(tmp_path):
    """And a log that is not there is empty; forgetting it twice is fine."""
    logs = OperationLogs(tmp_path)
    (tmp_path / "a.jsonl").write_text('{"event": "whole"}\n{"event": "cu')
    assert logs.read("a") == [{"event": "whole"}]
    logs.forget("a")
    logs.forget("a")
    assert logs.read("a") == []


def test_a_disk_that_takes_nothing_ends_no_training(tmp_path):
    """A file stands where the folder has to be."""
    (tmp_path / "file").write_text("in the way")
    configure_logging(operations=OperationLogs(tmp_path / "file" / "logs"))
    with operation_context("a"):
        get_logger("test").info("lost")
    structlog.reset_defaults()
