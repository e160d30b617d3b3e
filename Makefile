# Every command of Pawprint. ENV=local (the default) rehearses on this machine and never reaches AWS; ENV=aws uses
# your credentials, and ENV=aws REHEARSE=1 rehearses AWS's settings and code path here. `make help` lists the targets.

.DEFAULT_GOAL := help
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory

ENV ?= local
PYTHON ?= python3
# The dress rehearsal has a local AWS of its own, as deploy/environment.py has it: the ordinary one is not disturbed.
DRESS := $(if $(REHEARSE),$(filter-out local,$(ENV)))
LOCALAWS_PORT ?= $(if $(DRESS),4567,4566)
PAWPRINT_HOME ?= $(CURDIR)/.local
export ENV REHEARSE LOCALAWS_PORT PAWPRINT_HOME CONFIRM
export LOCALAWS_HOME := $(PAWPRINT_HOME)/$(if $(DRESS),$(DRESS)-rehearsal/)localaws
export PYTHONPATH := $(CURDIR):$(CURDIR)/payloads/shared
export TF_CLI_CONFIG_FILE := $(PAWPRINT_HOME)/terraform.rc
unexport PYTHONDONTWRITEBYTECODE  # where it is set, every command would compile all that it imports: seconds

PY := .venv/bin/python
# The value of a make variable reaches a command through the environment, so that it may hold any character:
# --name value, or the value alone, where the variable was given.
option = $${$(1):+--$(2) "$$$(1)"}
argument = $${$(1):+"$$$(1)"}
# What train, tune and train-ec2 take alike (deploy/options.py). RUN names one that was started before, to follow it.
run_options = $(foreach each,DATA:data ARCH:arch EPOCHS:epochs PATIENCE:patience BATCH:batch LR:lr \
	WEIGHT_DECAY:weight-decay DROPOUT:dropout AUGMENT:augment SEED:seed PRECISION:precision MAX_MINUTES:max-minutes RUN:run,\
	$(call option,$(word 1,$(subst :, ,$(each))),$(word 2,$(subst :, ,$(each))))) $(if $(FINE_TUNE),--fine-tune)
train_options = $(run_options) $(call option,INSTANCES,instances) $(if $(SPOT),--spot) $(call option,RESUME,resume)

##@ Start here
.PHONY: help setup images up
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What is as it was is seen from the files' times, because every target begins here.
setup: ## Prepare this checkout: packages from the hashed lock, Terraform, its provider
	@[ .venv/.synced -nt requirements.lock ] && [ .venv/.synced -nt deploy/setup.py ] && \
		[ -d build/serving-runtime ] && [ -f "$$TF_CLI_CONFIG_FILE" ] && \
		PATH="$$PATH:.venv/bin" command -v terraform >/dev/null || $(PYTHON) deploy/setup.py

images: setup ## Prepare the environments of all AWS images that the rehearsal runs: 5 GB more, for training jobs
	@$(PY) -m localaws.images prepare

up: setup ## From nothing to a URL: deploy, train on the sample, promote, ask; what train takes, V=1 shows everything
	@$(PY) -m deploy.commands.up $(if $(V),--verbose) $(train_options)

##@ Infrastructure
.PHONY: plan apply destroy output package upload
plan: setup ## Show what apply would change
	@$(PY) -m deploy.commands.plan
apply: setup ## Deploy the stack, on freshly packaged payloads
	@$(PY) -m deploy.commands.apply
destroy: setup ## Remove everything that was deployed (asks first on AWS)
	@$(PY) -m deploy.commands.destroy
output: setup ## Print the outputs of the stack as JSON
	@$(PY) -m deploy.commands.output
package: setup ## Package the payloads into build/, byte for byte the same each time
	@$(PY) -m deploy.commands.package
upload: setup ## Upload the packages to the artifacts bucket, skipping what is there
	@$(PY) -m deploy.commands.upload

##@ Model
.PHONY: data train tune train-ec2 promote
data: setup ## Check and upload labelled photographs: DATA=dir ALLOW_DUPLICATES=1; default: the built-in sample
	@$(PY) -m deploy.commands.data $(call argument,DATA)
train: setup ## Train in SageMaker: DATA= ARCH= EPOCHS= LR= BATCH= SEED= AUGMENT= PRECISION= FINE_TUNE=1 INSTANCES= SPOT=1 MAX_MINUTES= RESUME=job RUN=job
	@$(PY) -m deploy.commands.train $(train_options)
tune: setup ## Tune in SageMaker: what train takes, ARCH=a,b AUGMENT=a,b; JOBS= PARALLEL= STRATEGY= WARM_START=job RUN=job
	@$(PY) -m deploy.commands.tune $(run_options) $(call option,JOBS,jobs) $(call option,PARALLEL,parallel) \
		$(call option,STRATEGY,strategy) $(call option,WARM_START,warm-start)
train-ec2: setup ## Train on the EC2 instance, over SSM: what train takes, but INSTANCES, SPOT; THREADS= WORKERS= RUN=name
	@$(PY) -m deploy.commands.train_ec2 $(run_options) $(call option,THREADS,threads) $(call option,WORKERS,workers)
promote: setup ## Put a model behind the URL, blue/green: MODEL=run|tuning-job|s3-uri|previous; default: the last one trained
	@$(PY) -m deploy.commands.promote $(call argument,MODEL)

##@ Use
.PHONY: predict url page curl report notebook status logs
predict: setup ## Ask the URL about a picture: IMAGE=file-or-url TOP_K=
	@$(PY) -m deploy.commands.predict $(call argument,IMAGE) $(call option,TOP_K,top-k)
url: setup ## Print the function URL
	@$(PY) -m deploy.commands.url
page: setup ## Open the function's page in a browser: signs its requests on this machine, until Ctrl-C; PORT=
	@$(PY) -m deploy.commands.page $(call option,PORT,port)
curl: setup ## Print a ready curl line: IMAGE=file
	@$(PY) -m deploy.commands.curl $(call option,IMAGE,image)
report: setup ## Fetch and open a run's report: JOB=run|tuning-job; default: the last run
	@$(PY) -m deploy.commands.report $(call argument,$(if $(RUN),RUN,JOB))
notebook: setup ## Open the notebook instance's JupyterLab, starting it if it is stopped
	@$(PY) -m deploy.commands.notebook
status: setup ## One screen about the deployment
	@$(PY) -m deploy.commands.status
logs: setup ## Read logs: WHAT=train|endpoint|lambda|ec2 JOB=name FOLLOW=1
	@$(PY) -m deploy.commands.logs $(call option,WHAT,what) $(call option,JOB,job) $(if $(FOLLOW),--follow)

##@ The local AWS
.PHONY: local-up local-down local-reset
local-up: setup ## Start the local AWS on 127.0.0.1:4566, with REHEARSE=1 on 4567 (LOCALAWS_PORT)
	@$(PY) -m localaws up
local-down: setup ## Stop it, with every process that it started; its state stays in .local/
	@$(PY) -m localaws down
local-reset: setup ## Stop it and delete its state, datasets and models included: asks, or CONFIRM=yes
	@$(PY) -m deploy.commands.local_reset

##@ Development
.PHONY: test test-fast test-terraform bench lint fmt docs lock clean
test: setup lint ## Everything: lint, Terraform contracts, unit, packaged and end-to-end tests
	@$(PY) -m pytest tests/e2e tests/terraform tests/packaged tests/unit -q -n 3 --no-loadscope-reorder
test-fast: setup ## The unit tests
	@$(PY) -m pytest tests/unit -q -n 2
test-terraform: setup ## Plan contracts of the Terraform modules
	@$(PY) -m deploy.commands.test_terraform
bench: setup ## Measure speed against baselines, into bench/results and the README: ONLY=bench[/part] REPEATS= QUICK=1
	@$(PY) -m bench $(call option,ONLY,only) $(call option,REPEATS,repeats) $(if $(QUICK),--quick)
lint: setup ## Check the form of Python and Terraform, and the generated tables
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@PATH="$$PATH:$(CURDIR)/.venv/bin" terraform fmt -check -recursive terraform
	@$(PY) -m tools.terraform_docs --check
fmt: setup ## Bring Python and Terraform into form
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .
	@PATH="$$PATH:$(CURDIR)/.venv/bin" terraform fmt -recursive terraform
docs: setup ## Write the generated tables of the documentation
	@$(PY) -m tools.terraform_docs
lock: ## Make requirements.lock anew from pyproject.toml
	@.venv/bin/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header \
		--group pyproject.toml:dev pyproject.toml -o requirements.lock
clean: ## Remove what can be made again: build/ and caches (the local AWS and its state stay)
	@rm -rf build .pytest_cache .ruff_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
