"""Starting the lab: a sentence when it cannot, and a server that answers when it can."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from apps.lab.__main__ import listen, main


def test_small_answers_do_not_wait_for_a_packet_to_fill():
    async def connected() -> int:
        with listen("127.0.0.1", 0) as listening:
            said = asyncio.get_running_loop().create_future()
            server = await asyncio.start_server(lambda _, writer: said.set_result(writer.get_extra_info("socket")), sock=listening)
            _, writer = await asyncio.open_connection(*listening.getsockname())
            flag = (await said).getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            writer.close()
            server.close()
            return flag

    assert asyncio.run(connected())


def test_a_taken_port_is_said_with_another_to_try(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--port", str(port), "--no-browser"]) == 2
    said = capsys.readouterr().err
    assert f"Port {port} is taken" in said and f"--port {port + 1}" in said


@pytest.mark.parametrize("arguments", [["--models", "/nothing/there"], ["--host", "203.0.113.7"], ["--port", "70000"]])
def test_what_cannot_be_is_refused_in_words(arguments, capsys):
    assert main([*arguments, "--no-browser"]) == 2
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 2 and "Traceback" not in said


def test_the_lab_opens_answers_and_closes(repository, tmp_path):
    process = subprocess.Popen([sys.executable, "-m", "apps.lab", "--port", "0", "--no-browser"], cwd=repository, text=True,
                               stdout=subprocess.PIPE, env=os.environ | {"GLASSBOX_HOME": str(tmp_path)})
    try:
        address = next(match[0] for line in process.stdout if (match := re.search(r"http://127\.0\.0\.1:\d+/", line)))
        with urllib.request.urlopen(urllib.request.Request(address, headers={"accept": "text/html"})) as page:
            assert page.status == 200 and "glassbox_visitor" in page.headers["set-cookie"]
        foreign = urllib.request.Request(address, headers={"host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(foreign)
        assert refused.value.code == 400
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, 130, -signal.SIGINT)
