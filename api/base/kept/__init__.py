"""What a process keeps in mind between requests.

- ``acts``: Acts that change nothing, for the journal: refusals and downloads, which anybody may repeat without end
- ``failed_proofs``: Wrong proofs, by where they come from: whoever guesses is stopped, and whoever was right goes on
- ``known_gateways``: The gateways that have proved who they are to this process: what they send costs no statement
"""
