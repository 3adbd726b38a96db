"""The manual pages: made of the page and of what the programs say of themselves, so nothing is missing there."""

import json
import re
import subprocess

import pytest

from lab.gateway import GATEWAY, REPOSITORY

PAGES = ["gateway.8", "gatewayctl.8", "gateway.conf.5"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("man")
    subprocess.run([REPOSITORY / "scripts/man", GATEWAY.parent, folder], check=True)
    return folder


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_mistakes(pages, name):
    page = pages / name
    for check in (["man", "--warnings", "-l", page], ["mandoc", "-T", "lint", "-W", "warning", page]):
        done = subprocess.run(check, capture_output=True, text=True)
        assert not done.stderr and (check[0] == "man" or not done.stdout), done.stderr + done.stdout


@pytest.mark.parametrize("program", ["gateway", "gatewayctl"])
def test_the_page_of_a_program_has_its_commands_and_options(pages, program):
    told = json.loads(subprocess.run(
        [GATEWAY.with_name(program), "--experimental-dump-help"], capture_output=True, text=True, check=True).stdout)
    text = shown(pages / f"{program}.8")
    for words, command in commands([program], told["command"]):
        assert " ".join(words) in text
        for argument in command["arguments"]:
            for name in argument.get("names", []):
                if name["name"] not in ("help", "h", "version"):
                    assert ("--" if name["kind"] == "long" else "-") + name["name"] in text


def test_the_page_of_the_file_has_every_key(pages):
    keys = re.findall(r'case (?:`?\w+`?) = "(\w+)"', (
        REPOSITORY / "Sources/Control/Configuration/ConfigurationKey.swift").read_text())
    assert len(keys) > 30
    text = shown(pages / "gateway.conf.5")
    assert not [key for key in keys if not re.search(rf"\b{key}\b", text)]


def shown(page):
    """What a person reads."""
    done = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=1000", page], capture_output=True, text=True, check=True)
    return " ".join(re.sub(".\b", "", done.stdout).split())


def commands(words, told):
    """Every command that has none below it, with its words."""
    below = [one for one in told.get("subcommands", []) if one["commandName"] != "help"]
    for one in below:
        yield from commands([*words, one["commandName"]], one)
    if not below:
        yield words, told
