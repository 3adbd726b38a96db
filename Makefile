# make run      set up what is missing, build, and watch a link work in four network namespaces
# make test     set up what is missing, and run every test (as root: nothing is skipped)
# make fmt      format the sources          make check    what CI checks besides the tests
# make install  into $(PREFIX), /usr/local by default

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test unit system fmt check lint install clean setup build

PREFIX ?= /usr/local
SWIFT ?= swift
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
PYTHON := /usr/bin/python3
SOURCES := Package.swift Sources Tests
BUILD := $(SWIFT) build -c release
export WARNINGS_AS_ERRORS ?= 1

help:
	@sed -n 's/^# //p' Makefile

setup:
	@scripts/setup

build: setup
	@echo "building (a first build takes some minutes) …"
	@$(BUILD) --product gateway | scripts/progress
	@$(BUILD) --product gatewayctl | scripts/progress

run: build
	@$(SUDO) $(PYTHON) scripts/demo.py

test: setup
	@scripts/layer "build" "$(BUILD) --build-tests | scripts/progress"
	@scripts/layer "check" "$(MAKE) --no-print-directory lint"
	@scripts/layer "units" "$(SUDO) env PATH='$(PATH)' WARNINGS_AS_ERRORS=$(WARNINGS_AS_ERRORS) $(SWIFT) test -c release --skip-build 2>&1 | scripts/progress"
	@scripts/layer "system" "cd Tests/System && $(SUDO) $(PYTHON) -m pytest -q"

fmt:
	$(SWIFT) format --in-place --recursive $(SOURCES)

lint:
	@$(SWIFT) format lint --strict --recursive $(SOURCES)

check: lint build
	@! grep -rnE '^ *(public |internal )?import Foundation$$' Sources || { echo "no import of Foundation in Sources"; exit 1; }

install: build
	$(SUDO) install -D -m 755 .build/release/gateway $(DESTDIR)$(PREFIX)/bin/gateway
	$(SUDO) install -D -m 755 .build/release/gatewayctl $(DESTDIR)$(PREFIX)/bin/gatewayctl

clean:
	rm -rf .build
