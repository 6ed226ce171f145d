"""What a run leaves: its evidence, and reports and differences made from it.

- ``charts``: Lines over virtual time, as the inside of an SVG
- ``difference``: Where two runs differ
- ``evidence``: The evidence of a run: what was sent, what was answered, where the product stood, what held and what
  did not
- ``html_report``: A run as one HTML file that needs nothing else
- ``junit``: A run as JUnit XML, for whatever reads test reports
"""
