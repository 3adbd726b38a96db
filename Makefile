# make run      set up what is missing, build, and watch a link work in four network namespaces
# make test     set up what is missing, and run every test (as root: nothing is skipped); WORKERS=6 system tests at a time, FEW=3 of those that measure thin wires
# make test-fast  what to run every few minutes: a debug build, most unit tests, and the part of the system tests marked so
# make check    the format and the rules of the sources, which make test checks as well
# make fmt      format the sources
# make fuzz     feed every parser what a fuzzer thinks of, FUZZ_SECONDS (600) each; what breaks one joins Tests/Fuzz/Corpus
# make test-api  a long run of schemathesis, which it installs below .build, against docs/openapi.json; REQUESTS (10000)
# make bench    compare with the tunnels of Debian, half an hour; BENCH="--rounds 1 --tunnels gateway,wireguard-go": less
# make bench-compression  compare over thin and long links, a quarter of an hour; BENCH="--plan" only says how long
# make bench-thin  in front of a thin link: pings and calls beside uploads, how well Rate is kept, loss; 80 minutes; BENCH="--plan"
# make bench-micro  nanoseconds of the steps that every packet goes through
# make dist     programs that run where Swift is not, stripped, into out/, and their debug symbols into out/debug
# make deb      the same as a package of Debian's, checked with lintian: out/gateway_VERSION_ARCHITECTURE.deb
# make deb-test installs it in a Debian 12 that has nothing else, links two of them, and looks what a purge leaves
# make install  programs, systemd unit, manual pages and completions into $(PREFIX), /usr/local by default

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test test-fast test-api fmt check fuzz bench bench-compression bench-thin bench-micro dist deb deb-test install install-built clean setup setup-test build

PREFIX ?= /usr/local
UNITS ?= $(PREFIX)/lib/systemd/system
BUILT ?= .build/release
# Of each program for each shell, where the shell looks for it under share.
ZSH ?= zsh/site-functions
COMPLETIONS := $(foreach program,gateway gatewayctl,bash-completion/completions/$(program) \
	$(ZSH)/_$(program) fish/vendor_completions.d/$(program).fish)
SWIFT ?= swift
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
PYTHON := /usr/bin/python3
SOURCES := Package.swift Sources Tests bench
BUILD := $(SWIFT) build -c release
# What is given away needs no library of Swift's. Nothing is exported, so that the linker leaves out what is not called; relative
# relocations are packed, which glibc knows since 2.36.
STATIC := --scratch-path .build-dist --static-swift-stdlib -Xswiftc -use-ld=lld $(addprefix -Xlinker ,--icf=all --no-eh-frame-hdr \
	-T $(CURDIR)/packaging/sections.ld --version-script=$(CURDIR)/packaging/exports.map -z relro -z now -z pack-relative-relocs)
# Most of what a system test does is waiting: three on a core are done soonest.
WORKERS ?= 6
# What measures a thin wire takes a quarter of a processor.
FEW ?= 3
SYSTEM_TESTS := $(PYTHON) -m pytest -q
SIDE_BY_SIDE := --dist loadgroup -n
# Two thirds of the unit tests' seconds in a debug build; make test has them.
LONG_SUITES := [.](SegmentMerge|SegmentSplit|ContinuousTraffic|Report|Gathering|Members|Rate)Tests/
FUZZ_SECONDS ?= 600
REQUESTS ?= 10000
FUZZ_TARGETS ?= payload members datagram frame ethernet text state
export WARNINGS_AS_ERRORS ?= 1

help:
	@sed -n 's/^# //p' Makefile

setup:
	@scripts/setup

setup-test:
	@scripts/setup test

build: setup
	@echo "building (a first build takes some minutes) …"
	@$(BUILD) --product gateway | scripts/progress
	@$(BUILD) --product gatewayctl | scripts/progress

run: build
	@$(SUDO) $(PYTHON) scripts/demo.py

test: setup-test
	@scripts/layer "build" "$(BUILD) --build-tests | scripts/progress"
	@scripts/layer "check" "$(MAKE) --no-print-directory check"
	@scripts/layer "units" "$(SUDO) env PATH='$(PATH)' WARNINGS_AS_ERRORS=$(WARNINGS_AS_ERRORS) $(SWIFT) test -c release --skip-build --disable-xctest 2>&1 | scripts/progress"
	@scripts/layer "hot path" "cd Tests/HotPath && $(SUDO) $(PYTHON) -m pytest -q -k 'not instructions'"
	@scripts/layer "system" "cd Tests/System && $(SUDO) $(SYSTEM_TESTS) $(SIDE_BY_SIDE) $(WORKERS) -m 'not alone and not few'"
	@scripts/layer "system, a few" "cd Tests/System && $(SUDO) $(SYSTEM_TESTS) $(SIDE_BY_SIDE) $(FEW) -m few"
	@scripts/layer "system, alone" "cd Tests/System && $(SUDO) $(SYSTEM_TESTS) -m alone"

test-fast: setup-test
	@scripts/layer "build" "$(SWIFT) build --build-tests | scripts/progress"
	@scripts/layer "check" "$(MAKE) --no-print-directory check"
	@scripts/layer "units" "$(SUDO) env PATH='$(PATH)' WARNINGS_AS_ERRORS=$(WARNINGS_AS_ERRORS) $(SWIFT) test --skip-build --disable-xctest --skip '$(LONG_SUITES)' 2>&1 | scripts/progress"
	@scripts/layer "system" "cd Tests/System && $(SUDO) env GATEWAY_BIN=$(CURDIR)/.build/debug/gateway $(SYSTEM_TESTS) $(SIDE_BY_SIDE) $(WORKERS) -m 'fast and not slow and not alone and not few'"

test-api: setup-test build
	@[ -x .build/schemathesis/bin/schemathesis ] || { $(PYTHON) -m venv .build/schemathesis && .build/schemathesis/bin/pip -q install schemathesis; }
	@cd Tests/System && $(SUDO) env SCHEMATHESIS=$(CURDIR)/.build/schemathesis/bin/schemathesis REQUESTS=$(REQUESTS) $(SYSTEM_TESTS) test_openapi.py

fmt:
	$(SWIFT) format --in-place --recursive $(SOURCES)

check:
	@$(SWIFT) format lint --strict --recursive $(SOURCES)
	@! pyflakes3 Tests bench scripts | grep -v 'imported but unused'
	@! grep -rnE '^ *(public |internal )?import Foundation$$' Sources || { echo "Foundation is too large for the daemon"; exit 1; }
	@! grep -rnE '\.seal\(' Sources/TunnelCore Sources/Gateway --include=*.swift | grep -vE 'Sources/TunnelCore/(Egress/Sealer|Noise/|Crypto/)' \
		|| { echo "nothing is sealed outside the sealer"; exit 1; }
	@scripts/layers
	@scripts/pages

fuzz: setup
	@FUZZ=1 $(BUILD) --scratch-path .build-fuzz --product Fuzz -Xswiftc -sanitize=fuzzer,address -Xswiftc -use-ld=lld \
		| scripts/progress
	@for target in $(FUZZ_TARGETS); do scripts/layer "$$target" "scripts/fuzz $$target $(FUZZ_SECONDS)"; done

bench: build
	@scripts/setup bench
	@$(SUDO) env $(if $(WIREGUARD_GO),WIREGUARD_GO=$(WIREGUARD_GO)) $(if $(GATEWAY_BIN),GATEWAY_BIN=$(GATEWAY_BIN)) \
		$(PYTHON) bench/run $(BENCH)
	@$(if $(BENCH),,$(MAKE) --no-print-directory bench-compression)

bench-compression: build
	@scripts/setup bench
	@$(SUDO) env $(if $(GATEWAY_BIN),GATEWAY_BIN=$(GATEWAY_BIN)) $(PYTHON) -B bench/compression.py $(BENCH)

bench-thin: build
	@scripts/setup bench
	@$(SUDO) env $(if $(WIREGUARD_GO),WIREGUARD_GO=$(WIREGUARD_GO)) $(if $(GATEWAY_BIN),GATEWAY_BIN=$(GATEWAY_BIN)) \
		$(PYTHON) -B bench/thin.py $(BENCH)

bench-micro: setup
	@$(BUILD) --product MicroBenchmarks | scripts/progress
	@.build/release/MicroBenchmarks

dist: setup
	@scripts/setup dist
	@echo "building for anywhere (a first build takes some minutes) …"
	@$(BUILD) $(STATIC) --product gateway | scripts/progress
	@$(BUILD) $(STATIC) --product gatewayctl | scripts/progress
	@scripts/dist .build-dist/release out

deb: dist
	@scripts/setup deb
	@scripts/deb out $(VERSION)
	@lintian --allow-root --fail-on error,warning --tag-display-limit 0 out/*.deb

deb-test: deb
	@cd Tests/Package && $(SUDO) $(SYSTEM_TESTS)

install: build
	@$(MAKE) --no-print-directory install-built

# The Swift runtime may be in somebody's home, where the unit would not find it.
install-built:
	$(SUDO) install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $(BUILT)/gateway $(BUILT)/gatewayctl
	$(SUDO) install -d $(DESTDIR)$(UNITS) $(addprefix $(DESTDIR)$(PREFIX)/share/,$(dir $(COMPLETIONS)))
	home=$$(ldd $(BUILT)/gateway | grep -qE '=> /(root|home)/' && echo read-only || echo yes); \
	sed "s|/usr/local/bin/|$(PREFIX)/bin/|; s|^ProtectHome=yes|ProtectHome=$$home|" packaging/gateway@.service \
		| $(SUDO) install -m 644 /dev/stdin $(DESTDIR)$(UNITS)/gateway@.service
	$(SUDO) install -D -m 644 packaging/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/gateway.conf
	$(SUDO) install -D -m 644 packaging/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/gateway.conf
	pages=$$(mktemp -d); trap 'rm -r "$$pages"' EXIT; scripts/man $(BUILT) "$$pages"; \
	for page in "$$pages"/*; do \
		$(SUDO) install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man$${page##*.} "$$page"; \
	done
	for file in $(COMPLETIONS); do \
		program=$$(basename "$$file" .fish) shell=$${file%%[-/]*}; \
		$(BUILT)/$${program#_} --generate-completion-script "$$shell" \
			| $(SUDO) install -m 644 /dev/stdin "$(DESTDIR)$(PREFIX)/share/$$file"; \
	done

clean:
	rm -rf .build .build-dist out
