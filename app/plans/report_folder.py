"""The files by which the process that reads a plan and the one that draws its report agree."""

FACTS_FILE, CERTIFICATE_FILE, WORK_FILE = "facts.json", "certificate.gz", "work.json"
OUTLINES_FILE, DEMAND_FILE = "{}.npz", "demand.npz"
PLAN, IN_FORCE = "plan", "in_force"
