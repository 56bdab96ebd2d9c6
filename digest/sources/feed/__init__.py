"""Any feed: RSS 0.9x, 1.0 and 2.0, Atom, JSON Feed; of a journal, a laboratory's blog, another reader.

    bytes → xml | jsonfeed → Entries → reader → Listings

Feeds are read leniently, because many are not well-formed, and every element of an entry may be missing:
ScienceDirect gives no dates, Ingenta none for its items, WordPress tracks readers in its links.
A feed that is cut short gives its whole entries and counts as incomplete.
"""
