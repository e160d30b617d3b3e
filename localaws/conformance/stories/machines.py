"""The stories of EC2 and of Systems Manager: one instance, and commands on it."""

from localaws.conformance.answers import read
from localaws.conformance.checks import Checks

NO_INSTANCE = "i-0123456789abcdef0"
SCRIPT = "AWS-RunShellScript"


def _started(api: Checks, instance: str, wanted: str) -> bool:
    found = api.call("DescribeInstances", InstanceIds=[instance])
    return found["Reservations"][0]["Instances"][0]["State"]["Name"] == wanted


def linux(api: Checks) -> str:
    """The identifier of an image without Windows."""
    named = {"Filters": [{"Name": "name", "Values": ["al2023-ami-*"]}], "Owners": ["amazon"]}
    answer = api.connection.send("ec2", "DescribeImages", named)
    found, _ = read(Checks("ec2", api.connection).model("DescribeImages"), "ec2", answer)
    return str(found["Images"][0]["ImageId"])


def run_instance(api: Checks) -> str:
    """An instance that runs; its identifier."""
    machines = Checks("ec2", api.connection)
    made = machines.call("RunInstances", ImageId=linux(api), InstanceType="t3.micro", MinCount=1, MaxCount=1)
    instance = str(made["Instances"][0]["InstanceId"])
    machines.until(lambda: _started(machines, instance, "running"), "an instance runs")
    return instance


def ec2(api: Checks) -> None:
    made = api.call("RunInstances", ImageId=linux(api), InstanceType="t3.micro", MinCount=1, MaxCount=1)
    one = {"InstanceIds": [made["Instances"][0]["InstanceId"]]}
    api.until(lambda: _started(api, one["InstanceIds"][0], "running"), "an instance runs")
    api.call("DescribeInstances", Filters=[{"Name": "instance-state-name", "Values": ["running"]}])
    api.call("DescribeInstanceStatus", **one)
    api.call("GetConsoleOutput", InstanceId=one["InstanceIds"][0])
    api.call("RebootInstances", **one)
    api.call("StopInstances", **one)
    api.until(lambda: _started(api, one["InstanceIds"][0], "stopped"), "the instance is stopped")
    api.call("StartInstances", **one)
    api.until(lambda: _started(api, one["InstanceIds"][0], "running"), "it runs again")
    api.call("TerminateInstances", **one)
    for operation in ("DescribeInstances", "DescribeInstanceStatus", "StartInstances", "StopInstances"):
        api.refused(operation, "InvalidInstanceID.NotFound", InstanceIds=[NO_INSTANCE])
    for operation in ("RebootInstances", "TerminateInstances"):
        api.refused(operation, "InvalidInstanceID.NotFound", InstanceIds=[NO_INSTANCE])
    api.refused("GetConsoleOutput", "InvalidInstanceID.NotFound", InstanceId=NO_INSTANCE)
    api.refused("DescribeInstances", "InvalidInstanceID.Malformed", InstanceIds=["no-instance"])
    api.refused("RunInstances", "InvalidAMIID.NotFound", ImageId="ami-0123456789abcdef0", MinCount=1, MaxCount=1)
    api.refused("RunInstances", "InvalidAMIID.Malformed", ImageId="image", MinCount=1, MaxCount=1)


def ssm(api: Checks) -> None:
    instance = run_instance(api)
    api.until(lambda: api.call("DescribeInstanceInformation")["InstanceInformationList"], "its agent answers")
    shell = {"DocumentName": SCRIPT, "InstanceIds": [instance]}
    sent = api.call("SendCommand", **shell, Parameters={"commands": ["echo a line"]})
    command = {"CommandId": sent["Command"]["CommandId"], "InstanceId": instance}

    def ended() -> bool:
        return api.call("GetCommandInvocation", **command)["Status"] not in ("Pending", "InProgress", "Delayed")

    api.until(ended, "a command ends")
    api.call("ListCommands")
    api.call("ListCommandInvocations", Details=True)
    api.call("CancelCommand", CommandId=command["CommandId"])
    unknown = {"CommandId": "00000000-0000-0000-0000-000000000000"}
    api.refused("CancelCommand", "InvalidCommandId", **unknown)
    api.refused("GetCommandInvocation", "InvalidCommandId", **unknown, InstanceId=instance)
    api.refused("GetCommandInvocation", "InvocationDoesNotExist", **{**command, "InstanceId": NO_INSTANCE})
    api.refused("SendCommand", "InvalidDocument", **{**shell, "DocumentName": "No-Such-Document"})
    api.refused("SendCommand", "InvalidParameters", **shell, Parameters={"no-such": ["a"]})
    api.refused("SendCommand", "InvalidInstanceId", **{**shell, "InstanceIds": [NO_INSTANCE]})
    twice = {**shell, "InstanceIds": [instance, instance], "Parameters": {"commands": ["true"]}}
    api.refused("SendCommand", "DuplicateInstanceId", **twice)
    api.refused("CancelCommand", "InvalidInstanceId", CommandId=command["CommandId"], InstanceIds=[NO_INSTANCE])
    api.refused("CancelCommand", "DuplicateInstanceId", CommandId=command["CommandId"], InstanceIds=[instance] * 2)
    api.refused("GetCommandInvocation", "InvalidPluginName", **command, PluginName="aws:none")
    for operation in ("ListCommands", "ListCommandInvocations", "DescribeInstanceInformation"):
        api.refused(operation, "InvalidNextToken", NextToken="none")
    for operation in ("ListCommands", "ListCommandInvocations"):
        api.refused(operation, "InvalidCommandId", **unknown)
    api.refused("DescribeInstanceInformation", "InvalidFilterKey", Filters=[{"Key": "none", "Values": ["a"]}])
    api.connection.send("ec2", "TerminateInstances", {"InstanceIds": [instance]})


SSM_NOT_PROVOKED = {
    "ListCommands InvalidFilterKey": "the model's enum has all keys",
    "ListCommandInvocations InvalidFilterKey": "the model's enum has all keys",
    "InvalidInstanceInformationFilterValue": "a filter without a match gives an empty list",
    "InvalidInstanceId": "an instance that is not known has no commands: the list is empty",
    "InternalServerError": "the service's own failure: no request provokes it",
    "InvalidDocumentVersion": "versions of documents are refused",
    "InvalidOutputFolder": "output to S3 is refused",
    "UnsupportedPlatformType": "there are instances of one platform",
    "MaxDocumentSizeExceeded": "documents of a caller's own are refused",
    "InvalidRole": "notifications are refused",
    "InvalidNotificationConfig": "notifications are refused",
}
