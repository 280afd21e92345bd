# What the README names. Every target does its own set-up; nothing is installed outside this folder but by cargo.

CARGO ?= cargo
PYTHON ?= python3
VENV := target/venv
# What every test uses, built once: another choice of packages or features would compile most dependencies again.
BUILD := $(CARGO) build --workspace --all-features

# Lambda: what to build for (arm64 or x86_64), which environment to deploy, and what a zip may weigh at most, in bytes: every
# megabyte is fetched and unpacked at each cold start.
ARCH ?= x86_64
ENV ?= prod
ZIP_BUDGET := 4100000
# What the program may weigh: for one machine alone, and with everything in it.
LOCAL_BUDGET := 19000000
PROGRAM_BUDGET := 35500000
HOST := x86_64-unknown-linux-gnu
FUNCTIONS := $(patsubst functions/%/Cargo.toml,%,$(wildcard functions/*/Cargo.toml))

.PHONY: help demo test azurite browser-test browser-check api-test airflow-test rust-tests venv lint template lambda program deploy bench audit clean

help: ## What there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: ## Export a simulated day for real and compare the archive with the truth
	$(CARGO) run --quiet --package callvault --no-default-features -- demo

test: venv azurite ## Everything that must hold
	$(BUILD)
	@$(VENV)/bin/python tests/with_stand_ins.py $(MAKE) --no-print-directory rust-tests
	$(CARGO) test --workspace --all-features --doc
	$(VENV)/bin/python tests/media_check.py
	@$(MAKE) --no-print-directory api-test
	@$(MAKE) --no-print-directory browser-test

api-test: $(VENV)-schemathesis/.made ## The jobs API of a running `callvault serve`, fuzzed; FUZZ_REQUESTS=10000 for more
	$(BUILD)
	$(VENV)-schemathesis/bin/python -B tests/jobs_api_fuzz.py

airflow-test: $(VENV)-airflow/.made ## The DAG of infra/airflow under a real Airflow, against `callvault serve`
	$(BUILD)
	$(VENV)-airflow/bin/python -B tests/airflow_check.py

browser-test: ## `callvault login`, the page of `callvault report` and the page of calls in a real browser; left out where there is no Chromium
	@if $(PYTHON) -B tests/browser/login_check.py --is-there || [ -n "$(REQUIRE_BROWSER)" ]; then \
		$(MAKE) --no-print-directory browser-check; \
	fi

browser-check: $(VENV)-browser/.made
	$(BUILD)
	$(VENV)-browser/bin/python -B tests/browser/login_check.py
	$(VENV)-browser/bin/python -B tests/browser/report_check.py
	$(VENV)-browser/bin/python -B tests/browser/live_check.py

$(VENV)-browser/.made: tests/browser/requirements.txt
	$(PYTHON) -m venv $(VENV)-browser
	$(VENV)-browser/bin/python -m pip install --quiet --requirement $<
	@touch $@

rust-tests:
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run --workspace --all-features; \
	else \
		RUST_TEST_THREADS=12 $(CARGO) test --workspace --all-features --lib --bins --tests; \
	fi

venv: $(VENV)/.made ## The virtual environment that tests use (target/venv)

$(VENV)/.made: tests/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --requirement tests/requirements.txt
	@touch $@

azurite: target/azurite/.made ## The stand-in for Azure that tests use (target/azurite; needs Node.js)

target/azurite/.made: tests/azurite/package.json tests/azurite/package-lock.json
	rm -rf target/azurite && mkdir -p target/azurite
	cp $^ target/azurite/
	cd target/azurite && npm ci --silent --no-audit --no-fund
	@touch $@

lint: ## Formatting, clippy, documentation, dependency rules
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	$(CARGO) clippy --package callvault-genesys --package callvault-pipeline -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --all-features --no-deps --document-private-items
	$(CARGO) deny check bans licenses sources
	$(CARGO) machete
	$(PYTHON) tests/rooms_check.py

template: $(VENV)-template/.made $(VENV)-checkov/.made ## template.yaml: linters, and what it must agree on with the code
	SAM_CLI_TELEMETRY=0 $(VENV)-template/bin/sam validate --lint --region us-east-1
	$(VENV)-template/bin/cfn-lint --regions us-east-1 eu-west-1 -- template.yaml
	$(VENV)-checkov/bin/checkov --file template.yaml --config-file infra/checkov.yaml --skip-download
	$(VENV)-template/bin/python -B tests/template_check.py
	$(VENV)-template/bin/python -B tests/template_mutations.py
	$(PYTHON) infra/cost.py --check

$(VENV)-%/.made: tests/%_requirements.txt
	$(PYTHON) -m venv $(VENV)-$*
	$(VENV)-$*/bin/python -m pip install --quiet --requirement $<
	@touch $@

lambda: venv ## The functions as zips in target/lambda (ARCH=arm64 needs its target: `rustup target add aarch64-unknown-linux-gnu`)
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(CARGO) lambda build --profile function --skip-target-check --output-format zip \
		$(if $(filter arm64,$(ARCH)),--arm64,--x86-64) $(addprefix --package ,$(FUNCTIONS))
	@fits=true; for name in $(FUNCTIONS); do \
		bytes=$$(wc -c <target/lambda/$$name/bootstrap.zip) || exit 1; \
		echo "$$name: $$bytes bytes, budget $(ZIP_BUDGET)"; \
		[ "$$bytes" -le $(ZIP_BUDGET) ] || fits=false; \
	done; $$fits

program: ## The program as it is released: what it weighs, and a day (before a release: ten minutes are too much for each change)
	$(CARGO) build --release --package callvault --no-default-features
	@bytes=$$(wc -c <target/release/callvault); echo "for one machine: $$bytes bytes, budget $(LOCAL_BUDGET)"; [ "$$bytes" -le $(LOCAL_BUDGET) ]
	$(CARGO) build --release --package callvault
	@bytes=$$(wc -c <target/release/callvault); echo "with everything: $$bytes bytes, budget $(PROGRAM_BUDGET)"; [ "$$bytes" -le $(PROGRAM_BUDGET) ]
	@demo=$$(mktemp -d) && target/release/callvault demo --dir "$$demo/demo" && rm -rf "$$demo"

deploy: ARCH := arm64
deploy: lambda $(VENV)-template/.made ## Build for arm64 and deploy ENV (prod): guided the first time, then as before (README, "On AWS")
	SAM_CLI_TELEMETRY=0 $(VENV)-template/bin/sam deploy --template-file template.yaml --config-env $(ENV) \
		--capabilities CAPABILITY_IAM --parameter-overrides file://infra/parameters/$(ENV).yaml Architecture=$(ARCH) \
		$(if $(shell grep -s '^\[$(ENV)' samconfig.toml),--resolve-s3,--guided)

audit: ## Known advisories of the dependencies (needs the internet)
	$(CARGO) deny check advisories

bench: venv lambda ## The figures of benches/README.md
	$(CARGO) build --profile function --target $(HOST) --package hello-lambda
	$(CARGO) build --release --package callvault --package callvault-benches
	target/release/callvault-benches

clean: ## Remove what was built and what the demo left
	$(CARGO) clean
	rm -rf callvault-demo
