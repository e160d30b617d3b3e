"""What RunInstances sets of an instance and moto forgets: kept, described, and changed by the operations for it.

Nothing here acts on the instance's processes. Each member has the name that it has in DescribeInstances.
"""

import random
from datetime import UTC, datetime
from typing import Any

from localaws import machines

AUTO_RECOVERY = "default"
# Members that RunInstances and DescribeInstances share, with what they are without a request.
NAME_OPTIONS = {
    "HostnameType": "ip-name",
    "EnableResourceNameDnsARecord": False,
    "EnableResourceNameDnsAAAARecord": False,
}
RESERVATIONS = {"CapacityReservationPreference": "open"}
PLACEMENT = {"Tenancy": "tenancy", "GroupName": "group_name", "PartitionNumber": "partition_number"}


def default_credits(instance: Any) -> str:
    """EC2 user guide, "Burstable performance instances": T2 is standard, later types are unlimited."""
    return "standard" if instance.instance_type.startswith("t2.") else "unlimited"


def apply(instance: Any, asked: dict[str, Any]) -> None:
    """Keep what the parameters of a RunInstances request say of one instance."""
    instance.cpu_options = {**machines.cpu_options(instance.instance_type), **(asked.get("CpuOptions") or {})}
    instance.enclave_options = {"Enabled": bool((asked.get("EnclaveOptions") or {}).get("Enabled"))}
    instance.private_dns_name_options = {**NAME_OPTIONS, **(asked.get("PrivateDnsNameOptions") or {})}
    recovery = (asked.get("MaintenanceOptions") or {}).get("AutoRecovery") or AUTO_RECOVERY
    instance.maintenance_options = {"AutoRecovery": recovery, "RebootMigration": "default"}
    instance.capacity_reservation_specification = {
        **RESERVATIONS,
        **(asked.get("CapacityReservationSpecification") or {}),
    }
    instance.cpu_credits = (asked.get("CreditSpecification") or {}).get("CpuCredits") or default_credits(instance)
    instance.disable_api_termination = bool(asked.get("DisableApiTermination"))
    for member, attribute in PLACEMENT.items():
        if value := (asked.get("Placement") or {}).get(member):
            setattr(instance.placement, attribute, value)
    _keep_addresses(instance, asked.get("NetworkInterfaces") or [])
    _keep_disks(instance, asked.get("BlockDeviceMappings") or [])
    if (market := asked.get("InstanceMarketOptions") or {}).get("MarketType") == "spot":
        instance.spot_request = _spot_request(instance, market.get("SpotOptions") or {})


def _keep_addresses(instance: Any, interfaces: list[dict[str, Any]]) -> None:
    """The further addresses of the interfaces that were made with the instance."""
    for asked in interfaces:
        interface = instance.nics.get(int(asked.get("DeviceIndex") or 0))
        if interface is None or asked.get("NetworkInterfaceId"):
            continue
        addresses = [
            each["PrivateIpAddress"] for each in asked.get("PrivateIpAddresses") or [] if not each.get("Primary")
        ]
        while len(addresses) < int(asked.get("SecondaryPrivateIpAddressCount") or 0):
            addresses.append(interface.subnet.get_available_subnet_ip(instance))
        interface.private_ip_addresses += [{"Primary": False, "PrivateIpAddress": each} for each in addresses]


def _keep_disks(instance: Any, mappings: list[dict[str, Any]]) -> None:
    for mapping in mappings:
        attached = instance.block_device_mapping.get(mapping.get("DeviceName"))
        disk = mapping.get("Ebs") or {}
        if attached is None:
            continue
        for volume in instance.ec2_backend.describe_volumes(volume_ids=[attached.volume_id]):
            volume.iops = disk.get("Iops") or volume.iops
            volume.throughput = disk.get("Throughput") or volume.throughput


def _spot_request(instance: Any, options: dict[str, Any]) -> dict[str, Any]:
    """The request for spot capacity that EC2 makes for an instance that is launched with a market type."""
    now = datetime.now(UTC)
    return {
        "SpotInstanceRequestId": f"sir-{''.join(random.choices('abcdefghijkmnpqrstuvwxyz0123456789', k=8))}",  # noqa: S311
        "InstanceId": instance.id,
        "State": "active",
        "Status": {"Code": "fulfilled", "Message": "Your spot request is fulfilled.", "UpdateTime": now},
        "CreateTime": now,
        "Type": options.get("SpotInstanceType") or "one-time",
        "SpotPrice": options.get("MaxPrice"),
        "ValidUntil": options.get("ValidUntil"),
        "InstanceInterruptionBehavior": options.get("InstanceInterruptionBehavior") or "terminate",
        "LaunchedAvailabilityZone": instance.availability_zone,
        "ProductDescription": "Linux/UNIX",
    }
