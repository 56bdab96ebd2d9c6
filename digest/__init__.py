"""Your own Daily Papers.

Any page that lists new papers, filtered by what a person cares about, as one e-mail a day and a
feed that the person owns.
"""
