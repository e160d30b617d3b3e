"""Instances that boot: their user data, their states, their own `shutdown`."""

import gzip
import http.client
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from localaws.supervisor import start_time

SCRIPT = """\
#!/bin/sh
echo "pwd=$PWD home=$HOME tmp=$TMPDIR caller=$PYTEST_CURRENT_TEST endpoint=$AWS_ENDPOINT_URL"
mkdir -p opt
echo $$ > opt/user-data.pid
sleep 600 &
echo $! > opt/child.pid
echo prepared
"""


class Instance:
    """An instance on a local AWS."""

    def __init__(self, server, wait_until: Callable, user_data: str | bytes = SCRIPT, **settings):
        self.server = server
        self.wait_until = wait_until
        self.client = server.client("ec2")
        made = self.client.run_instances(
            ImageId="ami-12c6146b", InstanceType="c7i.xlarge", MinCount=1, MaxCount=1, UserData=user_data, **settings
        )
        self.id = made["Instances"][0]["InstanceId"]
        self.root: Path = server.home / "instances" / self.id / "root"

    def describe(self) -> dict:
        return self.client.describe_instances(InstanceIds=[self.id])["Reservations"][0]["Instances"][0]

    def console(self) -> str:
        return self.client.get_console_output(InstanceId=self.id)["Output"]

    def until(self, state: str) -> "Instance":
        self.wait_until(lambda: self.describe()["State"]["Name"] == state, f"the instance is {state}")
        return self

    def until_console(self, text: str) -> "Instance":
        self.wait_until(lambda: text in self.console(), f"the console says {text!r}")
        return self

    def pid(self, name: str) -> int:
        return int((self.root / "opt" / f"{name}.pid").read_text())

    def call(self, operation: str) -> None:
        getattr(self.client, operation)(InstanceIds=[self.id])


@pytest.fixture
def launch(localaws, wait_until) -> Iterator[Callable[..., Instance]]:
    made: list[Instance] = []

    def run(*arguments, **settings) -> Instance:
        made.append(Instance(localaws, wait_until, *arguments, **settings))
        return made[-1]

    yield run
    for instance in made:
        instance.call("terminate_instances")


def alive(pid: int) -> bool:
    return start_time(pid) is not None


def test_user_data_runs_in_the_instance_s_root(launch):
    instance = launch().until("running").until_console("user data ended with status 0")
    expected = f"pwd={instance.root} home={instance.root / 'root'} tmp={instance.root / 'tmp'}"
    assert f"{expected} caller= endpoint={instance.server.url}\n" in instance.console()
    assert "prepared" in instance.console()


def test_user_data_that_fails_says_so_and_the_instance_runs_on(launch):
    instance = launch("#!/bin/sh\necho broken >&2\nexit 7\n").until_console("user data ended with status 7")
    assert "broken" in instance.console()
    assert instance.describe()["State"]["Name"] == "running"


def test_a_compressed_script_runs_too(launch):
    launch(gzip.compress(b"#!/bin/sh\necho unpacked\n")).until_console("unpacked")


@pytest.mark.parametrize(
    ("user_data", "word"),
    [
        ("#cloud-config\npackages: [x]\n", "cloud-config"),
        ("Content-Type: multipart/mixed; boundary=x\n\n", "not a script"),
        (b"\x1f\x8bnot really", "user data refused"),
    ],
)
def test_other_user_data_is_refused_on_the_console(launch, user_data, word):
    instance = launch(user_data).until_console(word)
    assert "user data begins" not in instance.console()
    assert instance.describe()["State"]["Name"] == "running"


def test_stopping_ends_every_process_and_starting_boots_without_user_data(launch):
    instance = launch().until_console("user data ended")
    child = instance.pid("child")
    assert alive(child)
    instance.call("stop_instances")
    instance.until("stopped")
    assert not alive(child)
    assert instance.describe()["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    (instance.root / "opt" / "mark").touch()
    instance.call("start_instances")
    instance.until("running")
    assert (instance.root / "opt" / "mark").exists(), "the disk is kept"
    assert instance.console().count("user data begins") == 1


def test_what_lies_in_per_boot_runs_at_every_later_boot(launch):
    script = "#!/bin/sh\nd=var/lib/cloud/scripts/per-boot\nmkdir -p $d\n"
    script += "printf '#!/bin/sh\\necho per boot\\n' > $d/a\nchmod 755 $d/a\n"
    instance = launch(script).until_console("user data ended")
    assert "per boot" not in instance.console()
    instance.call("reboot_instances")
    instance.until_console("per boot")
    instance.until("running")
    assert instance.console().count("user data begins") == 1


def test_terminating_removes_the_disk(launch):
    instance = launch().until_console("user data ended")
    child = instance.pid("child")
    instance.call("terminate_instances")
    instance.until("terminated")
    assert not alive(child)
    assert not instance.root.parent.exists()
    with pytest.raises(ClientError, match="IncorrectInstanceState"):
        instance.call("start_instances")


@pytest.mark.parametrize(("behaviour", "state"), [("stop", "stopped"), ("terminate", "terminated")])
def test_an_instance_shuts_itself_down(launch, behaviour, state):
    instance = launch("#!/bin/sh\nshutdown -h now\n", InstanceInitiatedShutdownBehavior=behaviour).until(state)
    assert instance.describe()["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"


def test_a_planned_shutdown_can_be_cancelled(launch):
    # +0 is due at once: were the first plan not replaced and cancelled, the instance would not be running at the end.
    script = "#!/bin/sh\nshutdown -h +60\nshutdown -c\necho cancelled=$?\n"
    instance = launch(script).until_console("cancelled=0")
    assert "Shutdown scheduled for" in instance.console()
    assert instance.describe()["State"]["Name"] == "running"


@pytest.mark.parametrize("arguments", ["-r now", "23:30"])
def test_shutdown_refuses_what_it_does_not_do(launch, arguments):
    instance = launch(f"#!/bin/sh\nshutdown {arguments}\n").until_console("user data ended with status 1")
    assert "local instance" in instance.console()


@pytest.mark.parametrize(("instance_id", "status"), [("i-0123456789abcdef0", 404), ("running", 400)])
def test_a_plan_is_for_a_running_instance_and_a_number(localaws, launch, instance_id, status):
    if instance_id == "running":
        instance_id = launch().until("running").id
    connection = http.client.HTTPConnection("127.0.0.1", localaws.port, timeout=60)
    connection.request("POST", f"/_localaws/instances/{instance_id}/shutdown", b"soon")
    assert connection.getresponse().status == status
    connection.close()


def test_an_instance_whose_first_process_dies_is_stopped(launch):
    instance = launch("#!/bin/sh\necho $PPID > opt.pid\necho noted\n").until_console("noted")
    os.kill(int((instance.root / "opt.pid").read_text()), signal.SIGKILL)
    instance.until("stopped")
    assert "first process ended" in instance.describe()["StateReason"]["Message"]


def test_a_stopped_server_leaves_stopped_instances_that_start_again(own_server, wait_until):
    own_server.start()
    first = Instance(own_server, wait_until).until_console("user data ended")
    child = first.pid("child")
    own_server.stop()
    assert not alive(child)
    own_server.start()
    assert first.describe()["State"]["Name"] == "stopped"
    assert "local AWS was stopped" in first.describe()["StateReason"]["Message"]
    first.call("start_instances")
    first.until("running")
    own_server.kill()
    own_server.start()
    assert first.describe()["State"]["Name"] == "stopped"
    assert first.console().count("user data begins") == 1


def test_an_instance_keeps_its_groups_whatever_else_is_changed(launch, localaws):
    ec2 = localaws.client("ec2")
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    subnet = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"][0]["SubnetId"]
    group = ec2.create_security_group(GroupName="kept", Description="kept", VpcId=vpc)["GroupId"]
    interface = {"DeviceIndex": 0, "SubnetId": subnet, "Groups": [group]}
    instance = launch(NetworkInterfaces=[interface]).until("running")
    ec2.modify_instance_attribute(InstanceId=instance.id, InstanceInitiatedShutdownBehavior={"Value": "terminate"})
    described = instance.describe()
    assert [each["GroupId"] for each in described["SecurityGroups"]] == [group]
    (made,) = described["NetworkInterfaces"]
    instance.call("terminate_instances")
    instance.until("terminated")
    left = ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert made["NetworkInterfaceId"] not in {each["NetworkInterfaceId"] for each in left}


OPTIONS = [
    ({"CpuOptions": {"CoreCount": 1, "ThreadsPerCore": 1}}, "CpuOptions", {"CoreCount": 1, "ThreadsPerCore": 1}),
    ({}, "CpuOptions", {"CoreCount": 2, "ThreadsPerCore": 2}),
    ({"EnclaveOptions": {"Enabled": True}}, "EnclaveOptions", {"Enabled": True}),
    (
        {"PrivateDnsNameOptions": {"HostnameType": "resource-name"}},
        "PrivateDnsNameOptions",
        {
            "HostnameType": "resource-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
    ),
    (
        {"MaintenanceOptions": {"AutoRecovery": "disabled"}},
        "MaintenanceOptions",
        {"AutoRecovery": "disabled", "RebootMigration": "default"},
    ),
    ({"InstanceMarketOptions": {"MarketType": "spot"}}, "InstanceLifecycle", "spot"),
]


def test_an_instance_keeps_what_it_was_launched_with(launch):
    for settings, member, value in OPTIONS:
        assert launch(**settings).describe()[member] == value


def test_a_spot_instance_has_a_request(launch):
    options = {"SpotInstanceType": "one-time", "MaxPrice": "0.5"}
    instance = launch(InstanceMarketOptions={"MarketType": "spot", "SpotOptions": options})
    identifier = instance.describe()["SpotInstanceRequestId"]
    (request,) = instance.client.describe_spot_instance_requests(SpotInstanceRequestIds=[identifier])[
        "SpotInstanceRequests"
    ]
    assert (request["Type"], request["SpotPrice"], request["InstanceId"]) == ("one-time", "0.5", instance.id)
    instance.client.cancel_spot_instance_requests(SpotInstanceRequestIds=[identifier])
    assert instance.describe()["State"]["Name"] in ("pending", "running")


def test_an_instance_keeps_further_addresses_and_the_speed_of_its_disk(launch, localaws):
    ec2 = localaws.client("ec2")
    subnet = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"][0]
    address = subnet["CidrBlock"].rpartition(".")[0] + ".99"
    interface = {
        "DeviceIndex": 0,
        "SubnetId": subnet["SubnetId"],
        "PrivateIpAddresses": [{"PrivateIpAddress": address}],
    }
    disk = {"VolumeSize": 20, "VolumeType": "gp3", "Iops": 4000, "Throughput": 250}
    instance = launch(NetworkInterfaces=[interface], BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": disk}])
    described = instance.describe()
    addresses = described["NetworkInterfaces"][0]["PrivateIpAddresses"]
    assert [each["Primary"] for each in addresses] == [True, False]
    assert addresses[1]["PrivateIpAddress"] == address
    (mapped,) = described["BlockDeviceMappings"]
    (volume,) = ec2.describe_volumes(VolumeIds=[mapped["Ebs"]["VolumeId"]])["Volumes"]
    assert (volume["Iops"], volume["Throughput"]) == (4000, 250)


def test_options_of_an_instance_can_be_changed(launch):
    instance = launch()
    client = instance.client
    client.monitor_instances(InstanceIds=[instance.id])
    assert instance.describe()["Monitoring"]["State"] == "enabled"
    client.unmonitor_instances(InstanceIds=[instance.id])
    assert instance.describe()["Monitoring"]["State"] == "disabled"
    client.modify_instance_maintenance_options(InstanceId=instance.id, AutoRecovery="disabled")
    assert instance.describe()["MaintenanceOptions"]["AutoRecovery"] == "disabled"
    client.modify_private_dns_name_options(InstanceId=instance.id, EnableResourceNameDnsARecord=True)
    assert instance.describe()["PrivateDnsNameOptions"]["EnableResourceNameDnsARecord"] is True


def test_an_interface_of_its_own_is_free_again_when_the_instance_is_terminated(launch, localaws):
    ec2 = localaws.client("ec2")
    subnet = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"][0]
    card = ec2.create_network_interface(SubnetId=subnet["SubnetId"])["NetworkInterface"]["NetworkInterfaceId"]
    instance = launch(NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": card}]).until("running")
    instance.call("terminate_instances")
    assert instance.until("terminated").describe()["NetworkInterfaces"] == []
    (left,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[card])["NetworkInterfaces"]
    assert left["Status"] == "available"
    assert "Attachment" not in left
    ec2.delete_network_interface(NetworkInterfaceId=card)


def test_encrypted_disks_survive_a_restart(own_server, wait_until):
    own_server.start()
    disk = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "Encrypted": True, "VolumeType": "gp3"}}
    instance = Instance(own_server, wait_until, BlockDeviceMappings=[disk]).until("running")
    own_server.stop()
    own_server.start()
    (mapped,) = instance.describe()["BlockDeviceMappings"]
    (volume,) = instance.client.describe_volumes(VolumeIds=[mapped["Ebs"]["VolumeId"]])["Volumes"]
    assert volume["Encrypted"] is True


def test_a_rule_keeps_its_description_whatever_it_refers_to(localaws):
    ec2 = localaws.client("ec2")
    group = ec2.create_security_group(GroupName="described", Description="x")["GroupId"]
    [list_] = ec2.describe_managed_prefix_lists(
        Filters=[{"Name": "prefix-list-name", "Values": ["com.amazonaws.us-east-1.s3"]}]
    )["PrefixLists"]
    wanted = {
        "a group": {"UserIdGroupPairs": [{"GroupId": group}]},
        "S3": {"PrefixListIds": [{"PrefixListId": list_["PrefixListId"]}]},
    }
    for text, target in wanted.items():
        [[kind, [named]]] = target.items()
        permission = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, kind: [{**named, "Description": text}]}
        ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[permission])
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    assert {rule["Description"] for rule in rules if rule.get("FromPort") == 443} == set(wanted)
    ec2.delete_security_group(GroupId=group)


def test_a_dry_run_of_what_is_stored_changes_nothing(localaws):
    client = localaws.client("ec2")
    before = client.describe_transit_gateways()["TransitGateways"]
    for call in (client.create_transit_gateway, client.describe_transit_gateways):
        with pytest.raises(ClientError, match="DryRunOperation"):
            call(DryRun=True)
    assert client.describe_transit_gateways(DryRun=False)["TransitGateways"] == before
