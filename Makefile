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

up: setup $(if $(or $(REHEARSE),$(filter local,$(ENV))),local-up) ## From nothing to a URL: deploy, train on the sample, promote, ask
	@$(MAKE) apply
	@$(MAKE) data
	@$(MAKE) train
	@$(MAKE) promote
	@$(PY) -m deploy.url --curl --run

##@ Infrastructure
.PHONY: plan apply destroy output package upload
plan: setup ## Show what apply would change
	@$(PY) -m deploy.stack plan
apply: setup ## Deploy the stack, on freshly packaged payloads
	@$(PY) -m deploy.stack apply
destroy: setup ## Remove everything that was deployed (asks first on AWS)
	@$(PY) -m deploy.stack destroy
output: setup ## Print the outputs of the stack as JSON
	@$(PY) -m deploy.stack output
package: setup ## Package the payloads into build/, byte for byte the same each time
	@$(PY) -m deploy.package
upload: setup ## Upload the packages to the artifacts bucket, skipping what is there
	@$(PY) -m deploy.upload

##@ Model
.PHONY: data train tune train-ec2 promote
data: setup ## Check and upload labelled photographs: DATA=dir ALLOW_DUPLICATES=1; default: the built-in sample
	@$(PY) -m deploy.data $(call argument,DATA)
train: setup ## Train in SageMaker: DATA= EPOCHS= ARCH= LR= BATCH= SEED= AUGMENT= INSTANCES= PRECISION= FINE_TUNE=1 SPOT=1 RESUME=job
	@$(PY) -m deploy.train $(call option,DATA,data) $(call option,EPOCHS,epochs) $(call option,ARCH,arch) \
		$(call option,LR,lr) $(call option,BATCH,batch) $(call option,SEED,seed) $(call option,AUGMENT,augment) \
		$(call option,INSTANCES,instances) $(call option,PRECISION,precision) $(if $(FINE_TUNE),--fine-tune) \
		$(if $(SPOT),--spot) $(call option,RESUME,resume)
tune: setup ## Tune in SageMaker: JOBS= PARALLEL= DATA= EPOCHS= ARCH=a,b AUGMENT=a,b STRATEGY= WARM_START=job SEED= PRECISION= FINE_TUNE=1 JOB=job
	@$(PY) -m deploy.tune $(call option,JOBS,jobs) $(call option,PARALLEL,parallel) $(call option,DATA,data) \
		$(call option,EPOCHS,epochs) $(call option,ARCH,arch) $(call option,AUGMENT,augment) \
		$(call option,STRATEGY,strategy) $(call option,WARM_START,warm-start) $(call option,SEED,seed) \
		$(if $(FINE_TUNE),--fine-tune) $(call option,PRECISION,precision) $(call option,JOB,follow)
train-ec2: setup ## Train on the EC2 instance, over SSM: what train takes, but INSTANCES, SPOT; THREADS= WORKERS= MAX_MINUTES= RUN=name
	@$(PY) -m deploy.train_ec2 $(call option,DATA,data) $(call option,EPOCHS,epochs) $(call option,ARCH,arch) \
		$(call option,LR,lr) $(call option,BATCH,batch) $(call option,SEED,seed) $(call option,AUGMENT,augment) \
		$(call option,PRECISION,precision) \
		$(call option,THREADS,threads) $(call option,WORKERS,workers) $(if $(FINE_TUNE),--fine-tune) \
		$(call option,MAX_MINUTES,max-minutes) $(call option,RUN,run)
promote: setup ## Put a model behind the URL, blue/green: MODEL=run|tuning-job|s3-uri|previous; default: the last one trained
	@$(PY) -m deploy.promote $(call argument,MODEL)

##@ Use
.PHONY: predict url curl report notebook status logs
predict: setup ## Ask the URL about a picture: IMAGE=file-or-url TOP_K=
	@$(PY) -m deploy.predict $(call argument,IMAGE) $(call option,TOP_K,top-k)
url: setup ## Print the function URL
	@$(PY) -m deploy.url
curl: setup ## Print a ready curl line: IMAGE=file
	@$(PY) -m deploy.url --curl $(call option,IMAGE,image)
report: setup ## Fetch and open a run's report: JOB=run|tuning-job; default: the last run
	@$(PY) -m deploy.report $(call argument,$(if $(RUN),RUN,JOB))
notebook: setup ## Open the notebook instance's JupyterLab, starting it if it is stopped
	@$(PY) -m deploy.notebook
status: setup ## One screen about the deployment
	@$(PY) -m deploy.status
logs: setup ## Read logs: WHAT=train|endpoint|lambda|ec2 JOB=name FOLLOW=1
	@$(PY) -m deploy.logs $(call option,WHAT,what) $(call option,JOB,job) $(if $(FOLLOW),--follow)

##@ The local AWS
.PHONY: local-up local-down
local-up: setup ## Start the local AWS on 127.0.0.1:4566, with REHEARSE=1 on 4567 (LOCALAWS_PORT)
	@$(PY) -m localaws up
local-down: setup ## Stop it, with every process that it started; its state stays in .local/
	@$(PY) -m localaws down

##@ Development
.PHONY: test test-fast test-terraform bench lint fmt docs lock clean
test: setup lint ## Everything: lint, Terraform contracts, unit, packaged and end-to-end tests
	@$(PY) -m pytest tests/e2e tests/terraform tests/packaged tests/unit -q -n 3 --no-loadscope-reorder
test-fast: setup ## The unit tests
	@$(PY) -m pytest tests/unit -q -n 2
test-terraform: setup ## Plan contracts of the Terraform modules
	@$(PY) -m deploy.terraform_checks
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
