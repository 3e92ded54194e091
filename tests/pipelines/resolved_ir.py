"""What each task of a compiled pipeline runs and reads, whatever pipelines and loops it is nested in."""

import json
import re

CHANNEL = "pipelinechannel--"


def executor_arguments(spec):
    """Every task that does work: stage, the loops around it, and each argument with where it comes from at last.

    A source is ["parameter", name], ["constant", value], ["item", loop's items, field] or
    ["output", stage, its loops, its arguments' digest, key].
    """
    return sorted(_Resolver(spec).leaves, key=lambda one: json.dumps(one, sort_keys=True))


class _Resolver:
    def __init__(self, spec):
        self.spec, self.leaves = spec, []
        root = {name: ["parameter", name] for name in spec["root"]["inputDefinitions"]["parameters"]}
        self._dag(spec["root"], root, [])

    def _dag(self, component, inputs, loops):
        """Resolves a DAG; returns its outputs: key -> source."""
        outputs, tasks = {}, component["dag"]["tasks"]
        waiting = list(tasks)
        while waiting:
            name = next(one for one in waiting if not set(tasks[one].get("dependentTasks", [])) & set(waiting))
            waiting.remove(name)
            outputs[name] = self._task(tasks[name], inputs, outputs, loops)
        found = {}
        for key, one in component["dag"].get("outputs", {}).get("artifacts", {}).items():
            (selector,) = one["artifactSelectors"]
            found[key] = outputs[selector["producerSubtask"]][selector["outputArtifactKey"]]
        return found

    def _task(self, task, inputs, outputs, loops):
        component = self.spec["components"][task["componentRef"]["name"]]
        stated = task.get("inputs", {})
        sources = {
            name: self._source(one, inputs, outputs)
            for name, one in (stated.get("parameters", {}) | stated.get("artifacts", {})).items()
        }
        if "dag" in component:
            if iterator := task.get("parameterIterator"):
                items = sources[iterator["items"]["inputParameter"]]
                loops = [*loops, items]
                sources[iterator["itemInput"]] = ["item", items]
            return self._dag(component, sources, loops)
        stage = component["executorLabel"].removeprefix("exec-").rstrip("-0123456789")
        arguments = {name: one for name, one in sources.items() if not name.startswith(CHANNEL)}
        arguments = json.loads(self._inline(json.dumps(arguments), sources))
        leaf = {"stage": stage, "loops": loops, "arguments": arguments, "cached": task.get("cachingOptions", {})}
        self.leaves.append(leaf)
        keys = component.get("outputDefinitions", {})
        return {
            key: ["output", stage, loops, json.dumps(arguments, sort_keys=True), key]
            for key in [*keys.get("artifacts", {}), *keys.get("parameters", {})]
        }

    @staticmethod
    def _inline(text, sources):
        """Placeholders in constants, replaced by what they stand for."""

        def source(match):
            return json.dumps(json.dumps(sources[match[1]]))[1:-1]

        return re.sub(r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}", source, text)

    @staticmethod
    def _source(one, inputs, outputs):
        if "runtimeValue" in one:
            return ["constant", one["runtimeValue"]["constant"]]
        if key := one.get("componentInputParameter") or one.get("componentInputArtifact"):
            found = inputs[key]
            if selector := one.get("parameterExpressionSelector"):
                return [*found, re.search(r'\["(\w+)"\]', selector)[1]]
            return found
        if "taskFinalStatus" in one:
            return ["status"]
        produced = one.get("taskOutputParameter") or one["taskOutputArtifact"]
        return outputs[produced["producerTask"]][produced.get("outputParameterKey") or produced["outputArtifactKey"]]
