"""The columns of frontier-2026: cheap benchmarks, and targets with scaffold and version."""

from __future__ import annotations

from typing import Any

from . import bfcl

ABOUT: dict[str, Any] = {
    "name": "frontier-2026",
    "title": "Scores that vendors report of their models, 2024 to 2026",
    "kind": "vendor-reported",
    "version": "1",
    "licence": "MIT, CC-BY-4.0, Apache-2.0",
    "attribution": (
        "BenchPress, github.com/microsoft/benchpress (MIT); llm-stats, "
        "github.com/JonathanChavezTamales/llm-leaderboard (CC-BY 4.0); tau2-bench, "
        "github.com/sierra-research/tau2-bench (MIT); Berkeley Function Calling Leaderboard v4, "
        "github.com/ShishirPatil/gorilla (Apache-2.0)"
    ),
    "note": "Vendors choose scaffold, prompts and effort; each cell names its source.",
    "sources": [
        {
            "title": "BenchPress",
            "url": "https://github.com/microsoft/benchpress",
            "commit": "108c0997",
            "date": "2026-06-26",
            "licence": "MIT",
        },
        {
            "title": "llm-stats",
            "url": "https://github.com/JonathanChavezTamales/llm-leaderboard",
            "commit": "24a9ccf7",
            "date": "2025-10-16",
            "licence": "CC-BY-4.0",
        },
        {
            "title": "tau2-bench",
            "url": "https://github.com/sierra-research/tau2-bench",
            "commit": "a2c02472",
            "date": "2026-08-18",
            "licence": "MIT",
        },
        {
            "title": "Berkeley Function Calling Leaderboard v4",
            "url": "https://github.com/ShishirPatil/gorilla",
            "commit": "8c24bd7c",
            "date": "2026-04-12",
            "licence": "Apache-2.0",
        },
    ],
}

_REASONED = "generated with reasoning"
_GREEDY = "generated"
# benchmark: (chance, items, protocol, column of BenchPress, columns of llm-stats)
_CHEAP: dict[str, tuple[float, int, str, str, tuple[str, ...]]] = {
    "GPQA-diamond": (0.25, 198, _REASONED, "gpqa_diamond", ("gpqa",)),
    "MMLU-Pro": (0.1, 12032, _REASONED, "mmlu_pro", ("mmlu-pro",)),
    "MMLU": (0.25, 14042, _GREEDY, "", ("mmlu",)),
    "IFEval": (0.0, 541, _GREEDY, "ifeval", ("ifeval",)),
    "IFBench": (0.0, 294, _GREEDY, "ifbench", ()),
    "MATH": (0.0, 5000, _REASONED, "math", ("math",)),
    "MATH-500": (0.0, 500, _REASONED, "math_500", ("math-500",)),
    "AIME 2024": (0.0, 30, _REASONED, "aime_2024", ("aime-2024",)),
    "AIME 2025": (0.0, 30, _REASONED, "aime_2025", ("aime-2025",)),
    "GSM8K": (0.0, 1319, _REASONED, "gsm8k", ("gsm8k",)),
    "HumanEval": (0.0, 164, _GREEDY, "humaneval", ("humaneval",)),
    "BBH": (0.0, 6511, _REASONED, "bigbench_hard", ("big-bench-hard", "bbh")),
    "DROP": (0.0, 9536, _GREEDY, "drop", ("drop",)),
    "LiveCodeBench": (0.0, 880, _REASONED, "livecodebench", ("livecodebench",)),
}
# target: (label, description, column of BenchPress, columns of llm-stats)
_V = "as the vendor ran it"
_TARGETS: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "swe-bench-verified/vendor": (
        "SWE-bench Verified", f"500 GitHub issues, {_V}, in the vendor's own scaffold.",
        "swe_bench_verified", ("swe-bench-verified",),
    ),
    "swe-bench-pro/vendor": (
        "SWE-bench Pro", f"Longer issues of public and private code, {_V}.", "swe_bench_pro", (),
    ),
    "swe-bench-multilingual/vendor": (
        "SWE-bench Multilingual", f"300 issues in nine languages, {_V}.",
        "swe_bench_multilingual", (),
    ),
    "multi-swe-bench/vendor": (
        "Multi-SWE-bench", f"Issues in seven languages, {_V}.", "multi_swe_bench", (),
    ),
    "terminal-bench-1/vendor": (
        "Terminal-Bench 1", f"Tasks in a terminal, first version, {_V}.",
        "terminal_bench_1", (),
    ),
    "terminal-bench-2/vendor": (
        "Terminal-Bench 2", f"Tasks in a terminal, second version, {_V}.", "terminal_bench", (),
    ),
    "terminal-bench-hard/artificial-analysis": (
        "Terminal-Bench Hard", "Tasks in a terminal, hard subset, as reported.",
        "terminal_bench_hard", (),
    ),
    "aider-polyglot/diff": (
        "Aider polyglot", "225 coding exercises in six languages, edits as diffs where stated.",
        "aider_polyglot_diff", ("aider-polyglot",),
    ),
    "scicode/vendor": ("SciCode", f"Scientific coding problems, {_V}.", "scicode", ()),
    "bird-sql/dev": (
        "BIRD-SQL", "Questions to databases, development set.", "bird_sql", ("bird-sql-(dev)",),
    ),
    "tau-retail/vendor": (
        "tau-bench retail", f"Customer service of a shop, first version, {_V}.",
        "tau_bench_retail", ("tau-bench-retail",),
    ),
    "tau-airline/vendor": (
        "tau-bench airline", f"Customer service of an airline, first version, {_V}.",
        "tau_bench_airline", ("tau-bench-airline",),
    ),
    "tau2-retail/vendor": (
        "tau2-bench retail", f"Customer service of a shop, {_V}, user simulator not stated.",
        "tau2_bench_retail", ("tau2-retail",),
    ),
    "tau2-airline/vendor": (
        "tau2-bench airline", f"Customer service of an airline, {_V}, user simulator not stated.",
        "tau2_bench_airline", ("tau2-airline",),
    ),
    "tau2-telecom/vendor": (
        "tau2-bench telecom", f"Telephone support, {_V}, user simulator not stated.",
        "tau2_bench_telecom", ("tau2-telecom",),
    ),
    "tau2-banking/gpt-5.2-user": (
        "tau2-bench banking", "Banking service with a base of knowledge; GPT-5.2 plays the user.",
        "", (),
    ),
    "toolathlon/vendor": ("Toolathlon", f"Long tasks with many tools, {_V}.", "toolathlon", ()),
    "mcp-atlas/vendor": ("MCP-Atlas", f"Tasks with tools of MCP servers, {_V}.", "mcpatlas", ()),
    "mcpmark/vendor": ("MCPMark", f"Tasks with tools of MCP servers, {_V}.", "mcpmark", ()),
    "osworld/vendor": ("OSWorld", f"Tasks on a desktop, {_V}.", "osworld", ()),
    "browsecomp/vendor": (
        "BrowseComp", f"Facts that are hard to find on the web, {_V}.",
        "browsecomp", ("browsecomp",),
    ),
    "browsecomp-zh/vendor": (
        "BrowseComp-ZH", f"The same in Chinese, {_V}.", "browsecomp_zh", (),
    ),
    "hle/no-tools": (
        "Humanity's Last Exam", "Expert questions of all fields, without tools.",
        "hle", ("humanity's-last-exam",),
    ),
    "hle/tools": (
        "Humanity's Last Exam, tools", "Expert questions of all fields, with tools.",
        "hle_tools", (),
    ),
    "frontiermath/tiers-1-3": (
        "FrontierMath tiers 1 to 3", "Hard unpublished mathematics, as reported.",
        "frontiermath", ("frontiermath",),
    ),
    "frontiermath/tier-4": (
        "FrontierMath tier 4", "Research-level mathematics, as reported.",
        "frontiermath_tier4", (),
    ),
    "arc-agi-1/semi-private": (
        "ARC-AGI-1", "Abstract puzzles, semi-private set.", "arc_agi_1", (),
    ),
    "arc-agi-2/semi-private": (
        "ARC-AGI-2", "Harder abstract puzzles, semi-private set.", "arc_agi_2", (),
    ),
    "simpleqa/closed-book": (
        "SimpleQA", "Short questions of fact, without search.", "simpleqa", ("simpleqa",),
    ),
    "simpleqa-verified/closed-book": (
        "SimpleQA Verified", "Short questions of fact, without search.", "simpleqa_verified", (),
    ),
    "chinese-simpleqa/closed-book": (
        "Chinese SimpleQA", "Short questions of fact in Chinese, without search.",
        "chinese_simpleqa", (),
    ),
    "hmmt-2025-02/no-tools": (
        "HMMT February 2025", "Competition mathematics.",
        "hmmt_feb_2025", ("hmmt-2025", "hmmt25"),
    ),
    "hmmt-2025-11/no-tools": (
        "HMMT November 2025", "Competition mathematics.", "hmmt_nov_2025", (),
    ),
    "hmmt-2026-02/no-tools": (
        "HMMT February 2026", "Competition mathematics.", "hmmt_feb_2026", (),
    ),
    "aime-2026/no-tools": ("AIME 2026", "Competition mathematics.", "aime_2026", ()),
    "imo-answerbench/no-tools": (
        "IMO-AnswerBench", "Olympiad problems with short answers.", "imo_answerbench", (),
    ),
    "matharena-apex/2025": (
        "MathArena Apex 2025", "The hardest problems of the year's competitions.",
        "matharena_apex_2025", (),
    ),
    "brumo-2025/no-tools": ("BRUMO 2025", "Competition mathematics.", "brumo_2025", ()),
    "smt-2025/no-tools": ("SMT 2025", "Competition mathematics.", "smt_2025", ()),
    "cmimc-2025/no-tools": ("CMIMC 2025", "Competition mathematics.", "cmimc_2025", ()),
    "critpt/no-tools": ("CritPt", "Research problems of physics.", "critpt", ()),
    "supergpqa/vendor": (
        "SuperGPQA", f"Graduate questions of 285 fields, {_V}.", "supergpqa", ("supergpqa",),
    ),
    "livebench/vendor": (
        "LiveBench", "Global average as reported; its questions change.",
        "livebench", ("livebench",),
    ),
    "arena-hard/vendor": (
        "Arena-Hard", "Rate of wins that a model judges, version as reported.",
        "arena_hard", ("arena-hard",),
    ),
    "alpacaeval-2/length-controlled": (
        "AlpacaEval 2", "Rate of wins that a model judges.", "alpacaeval_2", (),
    ),
    "mmmlu/vendor": (
        "MMMLU", f"MMLU in fourteen languages, {_V}.", "mmmlu", ("mmmlu",),
    ),
    "mgsm/vendor": ("MGSM", f"GSM8K in ten languages, {_V}.", "mgsm", ("mgsm",)),
    "multi-if/vendor": (
        "Multi-IF", f"Instructions over several turns, {_V}.", "multi_if", ("multi-if",),
    ),
    "multichallenge/vendor": (
        "MultiChallenge", f"Conversations of several turns, {_V}.",
        "multichallenge", ("multichallenge",),
    ),
    "collie/vendor": ("COLLIE", f"Text under constraints, {_V}.", "collie", ("collie",)),
    "mmmu/val": (
        "MMMU", "College questions with pictures, validation set.", "mmmu", ("mmmu",),
    ),
    "mmmu-pro/vendor": (
        "MMMU-Pro", f"Harder college questions with pictures, {_V}.",
        "mmmu_pro", ("mmmu-pro",),
    ),
    "mathvista/testmini": (
        "MathVista", "Mathematics with pictures.", "mathvista", ("mathvista",),
    ),
    "mathvision/vendor": (
        "MathVision", f"Mathematics with pictures, {_V}.", "mathvision", ("mathvision",),
    ),
    "charxiv/reasoning": (
        "CharXiv reasoning", "Questions on charts of papers.",
        "charxiv_reasoning", ("charxiv-r",),
    ),
    "video-mme/vendor": (
        "Video-MME", f"Questions on videos, {_V}.", "video_mme", ("video-mme",),
    ),
    "video-mmmu/vendor": (
        "Video-MMMU", f"Lectures and questions on them, {_V}.", "video_mmmu", (),
    ),
    "erqa/vendor": ("ERQA", f"Spatial reasoning for robots, {_V}.", "erqa", ()),
    "graphwalks-bfs/128k": (
        "Graphwalks BFS", "Walks in a graph of up to 128 thousand tokens.",
        "graphwalks_bfs_0k_128k", ("graphwalks-bfs-<128k",),
    ),
    "graphwalks-parents/128k": (
        "Graphwalks parents", "Parents in a graph of up to 128 thousand tokens.",
        "graphwalks_parents_0k_128k", ("graphwalks-parents-<128k",),
    ),
    "lcr/artificial-analysis": (
        "AA-LCR", "Reasoning over long documents, as reported.", "aa_lcr", (),
    ),
    "longbench-v2/vendor": (
        "LongBench v2", f"Questions on long contexts, {_V}.", "longbench_v2", (),
    ),
    "frames/vendor": ("FRAMES", f"Facts from several articles, {_V}.", "frames", ()),
    "truthfulqa/vendor": (
        "TruthfulQA", f"Questions that invite falsehoods, {_V}.",
        "truthfulqa", ("truthfulqa",),
    ),
    "popqa/closed-book": ("PopQA", "Rare facts, without search.", "popqa", ()),
    "facts-grounding/vendor": (
        "FACTS Grounding", f"Answers that stay with a document, {_V}.",
        "facts_grounding", ("facts-grounding",),
    ),
    "cybergym/vendor": ("CyberGym", f"Reproducing vulnerabilities, {_V}.", "cybergym", ()),
    "ojbench/vendor": ("OJBench", f"Olympiad programming, {_V}.", "ojbench", ()),
    "mbpp-plus/vendor": ("MBPP+", f"Short programs, {_V}.", "mbpp_plus", ()),
    "mbpp/vendor": ("MBPP", f"Short programs, {_V}.", "", ("mbpp",)),
    "arc-challenge/vendor": (
        "ARC-C", f"School science, {_V}.", "", ("arc-c",),
    ),
    "hellaswag/vendor": ("HellaSwag", f"Ends of everyday stories, {_V}.", "", ("hellaswag",)),
    "mmlu-redux/vendor": ("MMLU-Redux", f"MMLU, corrected, {_V}.", "", ("mmlu-redux",)),
    "bfcl-v3/vendor": ("BFCL v3", f"Function calling, {_V}.", "bfcl_v3", ("bfcl-v3",)),
}  # fmt: skip
_CHANCE = {
    "supergpqa/vendor": 0.1,
    "mmmlu/vendor": 0.25,
    "mmlu-redux/vendor": 0.25,
    "arc-challenge/vendor": 0.25,
    "hellaswag/vendor": 0.25,
    "longbench-v2/vendor": 0.25,
}
BENCHMARKS: list[dict[str, Any]] = [
    {"name": name, "chance": chance, "n_items": n, "protocol": protocol}
    for name, (chance, n, protocol, _, _) in _CHEAP.items()
]
TARGETS: list[dict[str, Any]] = [
    {
        "name": name,
        "label": label,
        "description": description,
        "population": "all",
        **({"chance": _CHANCE[name]} if name in _CHANCE else {}),
    }
    for name, (label, description, _, _) in _TARGETS.items()
] + bfcl.TARGETS
COLUMNS: dict[str, tuple[str, tuple[str, ...]]] = {
    **{name: cheap[3:] for name, cheap in _CHEAP.items()},
    **{name: target[2:] for name, target in _TARGETS.items()},
}
"""Where a benchmark or target stands in BenchPress, and where in llm-stats."""
