# What the README names. Every target does its own set-up; nothing is installed outside this folder but by cargo.

CARGO ?= cargo
PYTHON ?= python3
VENV := target/venv

.PHONY: help demo test lint bench audit clean

help: ## What there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: ## Export a simulated day for real and compare the archive with the truth
	$(CARGO) run --quiet --package callvault -- demo

test: ## Everything that must hold
	$(CARGO) build --workspace --all-features
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run --workspace --all-features; \
	else \
		RUST_TEST_THREADS=12 $(CARGO) test --workspace --all-features --lib --bins --tests; \
	fi
	$(CARGO) test --workspace --all-features --doc
	@[ -x $(VENV)/bin/python ] || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --requirement tests/requirements.txt
	$(VENV)/bin/python tests/media_check.py

lint: ## Formatting, clippy, documentation, dependency rules
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	$(CARGO) clippy --package callvault-genesys --package callvault-pipeline -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --all-features --no-deps --document-private-items
	$(CARGO) deny check bans licenses sources
	$(CARGO) machete
	$(PYTHON) tests/rooms_check.py

audit: ## Known advisories of the dependencies (needs the internet)
	$(CARGO) deny check advisories

bench: ## The figures of benches/README.md
	$(CARGO) build --release --package callvault --package callvault-benches
	target/release/callvault-benches

clean: ## Remove what was built and what the demo left
	$(CARGO) clean
	rm -rf callvault-demo
