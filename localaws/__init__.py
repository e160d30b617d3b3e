"""AWS on this machine: moto as the control plane, real processes as the data plane. Never shipped.

`python -m localaws up` starts it; any AWS client reaches it through `AWS_ENDPOINT_URL` alone.
"""
