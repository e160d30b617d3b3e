"""Run Terraform on newly packaged payloads: `plan`, `apply`, `destroy`, `output`.

The state and Terraform's working data are in the environment's home, so the rehearsal and AWS share neither. `apply`
and `promote` are the same operation with different releases. Both end with a check of the live endpoint
(`deploy.sagemaker.endpoint_check`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from python_terraform import IsFlagged

from deploy import (
    account_limits,
    adoption,
    api_key,
    backend,
    bucket,
    console,
    environment,
    losses,
    settings,
    sleeping,
    state_files,
    unfinished,
)
from deploy.build import package
from deploy.consistency import check, measured
from deploy.console import Failure
from deploy.costs import idle
from deploy.costs.price_list import PriceList
from deploy.deployment import Deployment
from deploy.environment import TERRAFORM, Environment
from deploy.sagemaker import releases
from deploy.terraform_program import TerraformProgram


class Stack:
    """The Terraform root stack of one environment."""

    def __init__(self, env: Environment):
        self.env = env
        env.home.chmod(0o700)  # the state contains every value of the stack
        self._backend = backend.read(env)
        self._terraform = TerraformProgram(backend.working_folder(env, self._backend), env.home)

    def init(self) -> None:
        """Initialise providers and state. If that was done for the same files, return at once."""
        stamp = self.env.home / "terraform" / ".initialised"
        folder = self._terraform.folder
        wanted = package.content_hash(
            [(path.name, path) for path in (folder / ".terraform.lock.hcl", folder / "terraform.tf")]
        )
        modules = sorted(path.name for path in (folder / "modules").iterdir() if path.is_dir())
        wanted = f"{wanted} {' '.join(modules)} {self._backend or ''}".rstrip()
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        if self._backend:
            backend.require_migrated(self._state)
        console.step("Preparing Terraform")
        if self._backend:
            self._init_shared(reconfigure=IsFlagged)
        else:
            self._terraform.init(reconfigure=IsFlagged, backend_config={"path": str(self._state)})
        stamp.write_text(wanted)

    def _init_shared(self, **arguments: Any) -> None:
        try:
            self._terraform.init(**arguments)
        except Failure as failure:
            raise Failure(f"{failure}\nTo create the bucket of the state: {console.make('backend')}") from None

    def migrate(self) -> None:
        """Move the state of this machine, if there is one, to the bucket of the settings. Raises Failure.

        It overwrites no state: the bucket must have none, or the same one after an interrupted move.
        """
        if state_files.Version.read(self._state):
            local = self._state.read_bytes()
            found = self._shared_state()
            if found and not state_files.same_content(found, local):
                raise Failure(
                    f"The bucket already has another state of {self.env} than this machine ({self._state}). "
                    f"Nothing was changed. Move the one away that is wrong, then: {console.make('backend')}"
                )
            state_files.back_up(self._state)
            # Terraform moves a state from the backend that it was initialised with.
            before = TerraformProgram(TERRAFORM, self.env.home)
            before.init(reconfigure=IsFlagged, backend_config={"path": str(self._state)})
            self._init_shared(migrate_state=IsFlagged, force_copy=IsFlagged)
            found = self._shared_state()
            if not found or not state_files.same_content(found, local):
                raise Failure("Terraform did not copy the state to the bucket. The state of this machine is unchanged.")
            backend.set_aside(self._state)
        self.init()

    def _shared_state(self) -> bytes | None:
        """The state in the bucket; None if there is none."""
        assert self._backend is not None
        s3 = self.env.client("s3", self._backend.region)
        try:
            return s3.get_object(Bucket=self._backend.bucket, Key=self._backend.key)["Body"].read()
        except s3.exceptions.NoSuchKey:
            return None

    def _version(self) -> state_files.Version | None:
        """The version of the state, on this machine or in the bucket."""
        if self._backend is None:
            return state_files.Version.read(self._state)
        found = self._shared_state()
        return state_files.Version.parse(found) if found else None

    def plan(self) -> int:
        """Show what an apply would change. Returns Terraform's exit status, which is 0 even if there are changes.

        Raises Failure if settings contradict each other, or if the account's limits do not allow these changes.
        """
        with self._inputs() as arguments, self._terraform.plan_file() as planned:
            self._require_consistent()
            code = self._terraform.run("plan", **arguments, out=str(planned))
            if code == 0:
                self._require_limits(self._terraform.show(planned))
            return code

    def planned(self) -> dict[str, Any]:
        """The plan of an apply, as `terraform show -json` prints it. Raises Failure."""
        with self._inputs() as arguments, self._terraform.plan_file() as planned:
            if self._terraform.run_briefly("plan", **arguments, out=str(planned)):
                raise Failure(f"There is no plan. To see why: {console.make('plan')}")
            return self._terraform.show(planned)

    def apply(self) -> int:
        """Apply everything. Returns Terraform's exit status.

        Raises Failure before the first change if the plan must not be applied (`_require`), and asks if it destroys
        something that cannot be created again.
        """
        with self._inputs(create_key=True) as arguments:
            return self._apply(arguments)

    def apply_release(self, release: releases.Releases, *targets: str) -> int:
        """Apply other releases to parts of the stack and to batch jobs, as `apply` does. Returns Terraform's status.

        Raises Failure if the settings ask for another kind of endpoint than the stack has.
        """
        kind, wanted = self.deployment().endpoint_kind, settings.endpoint_kind(self.env.tfvars)
        if kind != wanted:
            raise Failure(
                f"The endpoint's kind is {kind}, and {self.env.tfvars.name} now says {wanted}. Apply that first: "
                f"{console.make('apply')}"
            )
        with self._inputs(release) as arguments:
            return self._apply({**arguments, "target": [*targets, "module.batch"]})

    def apply_sleep(self) -> int:
        """Apply whether the stack is asleep (`deploy.sleeping`), and nothing else. Returns Terraform's exit status."""
        with self._inputs() as arguments:
            return self._apply({**arguments, "target": ["module.endpoint", "module.predictor"]})

    def destroy(self, prepare: Callable[[Deployment], None]) -> int:
        """Destroy everything. Returns Terraform's exit status.

        `prepare` runs after the confirmation and before Terraform; it gets the deployment, which may have no outputs.
        """
        with self._inputs() as arguments:
            return self._apply({**arguments, "destroy": IsFlagged}, prepare)

    def deployment(self) -> Deployment:
        """The deployment. It has no outputs if nothing is deployed."""
        return Deployment(self.env, self._outputs())

    def require_deployment(self) -> Deployment:
        """The deployment. Raises Failure if nothing is deployed or if the rehearsal's local AWS is not running."""
        deployment = self.deployment()
        if not deployment.has("artifacts_bucket"):
            raise Failure(f"Nothing is deployed in {self.env}. Deploy it first: {console.make('apply')}")
        self.env.require_own_local_aws()
        return deployment

    @property
    def state_file(self) -> Path:
        """The state on this machine, which need not exist."""
        return self._state

    @property
    def is_remote(self) -> bool:
        """Whether the state is shared."""
        return self._backend is not None

    def _rehearsal_variables(self) -> dict[str, Any]:
        return environment.rehearsal_variables() if self.env.is_dress_rehearsal else {}

    def settings(self) -> dict[str, Any]:
        """Every setting with its default. Raises Failure if the file cannot be read."""
        return settings.effective(self.env.tfvars, self._rehearsal_variables())

    def require_known_settings(self) -> None:
        """Raise Failure if the settings name something that no variable has."""
        settings.require_known_names(self.env.tfvars)

    def state(self) -> dict[str, Any]:
        """The Terraform state as it is stored; {} if there is none. Raises Failure."""
        if self._backend:
            return json.loads(self._shared_state() or b"{}")
        return json.loads(self._state.read_text()) if state_files.Version.read(self._state) else {}

    def _outputs(self) -> dict[str, Any]:
        if not self._state.is_file() and not self._backend:
            return {}  # faster than Terraform, which would need to be initialised first
        self.init()
        return self._terraform.outputs()

    @contextmanager
    def _inputs(self, release: releases.Releases | None = None, *, create_key: bool = False) -> Generator[dict]:
        """The arguments that plan, apply and destroy share. `create_key` makes the API key if it is wanted."""
        settings.require_known_names(self.env.tfvars)
        self.init()
        deployment = self.deployment()
        if release is None:
            release = releases.read(deployment)
        var_files = [self.env.tfvars]
        if release:
            var_files.append(self._var_file("releases", {"releases": release.as_variable()}))
        if sleeping.read(deployment):
            var_files.append(self._var_file("asleep", {"asleep": True}))
        if api_key.is_wanted(self.env):
            hashed = api_key.hash_for_terraform(self.env, create=create_key)
            var_files.append(self._var_file("api-key", {"api_key_sha256": hashed}))
        if rehearsal := self._rehearsal_variables():
            var_files.append(self._var_file("rehearsal", rehearsal))
        yield {"var_file": [str(file) for file in var_files], "input": False, "compact_warnings": IsFlagged}

    def _apply(self, arguments: dict[str, Any], prepare: Callable[[Deployment], None] | None = None) -> int:
        """Plan, check the plan, and apply exactly this plan."""
        deployment = self.deployment()
        self._require_same_region(deployment)
        if "destroy" not in arguments and not sleeping.is_asleep(deployment):
            self._require_consistent()
        state_files.back_up(self._state)
        with self._terraform.plan_file() as planned:
            if unfinished.exists(self.env) and (code := self._adopt(arguments)):
                return code
            if code := self._terraform.run_briefly("plan", **arguments, out=str(planned)):
                if "target" in arguments:  # Terraform refuses a part of the stack while others are to be renamed
                    console.warn(f"If a new version renames resources, apply all of it first: {console.make('apply')}")
                return code
            plan = self._terraform.show(planned)
            self._require(plan, deployment, "destroy" if "destroy" in arguments else "apply")
            adopted = "destroy" not in arguments and self._import(plan, arguments, adoption.MADE_BY_SERVICES)
            if adopted and (code := self._terraform.run_briefly("plan", **arguments, out=str(planned))):
                return code
            if prepare:
                prepare(deployment)
            for name in losses.buckets_of_plan(plan):
                bucket.empty(self._clients(plan)("s3"), name)
            unfinished.begin(self.env)
            code = self._terraform.run_briefly("apply", str(planned), input=False, compact_warnings=IsFlagged)
        if code == 0:
            unfinished.end(self.env)
            self._write_note()
        return code

    def _adopt(self, arguments: dict[str, Any]) -> int:
        """Import what an interrupted apply left in AWS. Returns Terraform's exit status."""
        console.step("The last apply or destroy did not finish. Looking for what it left in AWS")
        arguments = {name: value for name, value in arguments.items() if name not in ("destroy", "target")}
        with self._terraform.plan_file() as planned:
            if code := self._terraform.run_briefly("plan", **arguments, out=str(planned)):
                return code
            self._import(self._terraform.show(planned), arguments)
        return 0

    def _import(self, plan: dict[str, Any], arguments: dict[str, Any], only: tuple[str, ...] = ()) -> int:
        """Import what the plan creates although AWS has it. Returns the number of resources. Raises Failure."""
        arguments = {name: value for name, value in arguments.items() if name in ("var_file", "input")}
        existing = list(adoption.found(plan, self._clients(plan), only))
        for address, identifier in existing:
            self._terraform.import_resource(address, identifier, **arguments)
            console.done(f"{address} was in AWS already, as {identifier}")
        return len(existing)

    def _require(self, plan: dict[str, Any], deployment: Deployment, command: str) -> None:
        """Raise Failure if the plan must not be applied: the account's limits do not allow it, the stack was applied
        from another state, or the user does not confirm what it destroys."""
        if command == "apply":
            self._require_limits(plan)
        name = deployment.outputs.get("name") or plan["variables"]["name"]["value"]
        client = self._clients(plan)
        if not self._backend and not (command == "apply" and os.environ.get("CONFIRM") == name):
            account, region = client("sts").get_caller_identity()["Account"], plan["variables"]["region"]["value"]
            where = f"{name}-artifacts-{account}-{region}"  # as in terraform/modules/artifacts; known without a state
            state_files.require_same_state(client("s3"), where, state_files.Version.read(self._state), name)
        if cost := idle.change(plan, PriceList(plan["variables"]["region"]["value"]), self.settings()):
            console.step(f"Cost while idle: {cost}")
        if command == "apply" or self.env.asks_before_destroy:
            lost = losses.of_plan(plan, client, unfinished.exists(self.env))
            if lost or command == "destroy":
                losses.confirm(name, lost, command, cost)

    def _require_same_region(self, deployment: Deployment) -> None:
        """Raise Failure if the settings name another region. Terraform would forget everything in the old one."""
        region = settings.value(self.env.tfvars, "region")
        if deployment.has("region") and deployment.region != region:
            raise Failure(
                f"{deployment.name} is deployed in {deployment.region}, and {self.env.tfvars.name} now says {region}. "
                f"An apply would leave everything in {deployment.region} running, unknown to Terraform. Nothing was "
                f"changed.\nTo move the stack: set the region to {deployment.region} again, then "
                f"{console.make('destroy')}, then change the region."
            )

    def _write_note(self) -> None:
        """Leave the state's version in the bucket, if there is one, for `state_files.require_same_state`."""
        deployment = self.deployment()
        version = self._version()
        if deployment.has("artifacts_bucket") and version:
            state_files.write_note(deployment.client("s3"), deployment.artifacts_bucket, version)

    def _require_consistent(self) -> None:
        check.require(self.settings(), measured.read(self.deployment()), self.env.tfvars)

    def _require_limits(self, plan: dict[str, Any]) -> None:
        region = plan["variables"]["region"]["value"]
        account_limits.require(plan, account_limits.AccountReader(self.env.client, region), self.env.tfvars)

    def _clients(self, plan: dict[str, Any]) -> Callable[[str], Any]:
        """Service -> boto3 client of the plan's region."""
        region = plan["variables"]["region"]["value"]
        return lambda service: self.env.client(service, region)

    @property
    def _state(self) -> Path:
        return self.env.home / "terraform.tfstate"

    def _var_file(self, name: str, values: dict) -> Path:
        """A file of Terraform variables, whose values may have any type. A later file overrides an earlier one."""
        written = self.env.home / f"{name}.tfvars.json"
        written.write_text(json.dumps(values, indent=2))
        return written
