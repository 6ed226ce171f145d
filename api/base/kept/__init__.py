"""What a process keeps in mind between requests.

- ``acts``: Acts that change nothing, for the journal: refusals and downloads, which anybody may repeat without end
- ``known_gateways``: The gateways that have proved who they are to this process: what they send costs no statement
"""
