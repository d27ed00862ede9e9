//! Joins that give way.

use std::sync::Arc;

use lake::datafusion::{
    common::tree_node::{Transformed, TreeNode as _},
    error::DataFusionError,
    physical_plan::{ExecutionPlan, coop::CooperativeExec},
};

/// Makes every join and union of `plan` give way after some of its batches.
///
/// The engine counts what is read, and of two inputs come far more rows than that: a task that sums up
/// a join would go on for hours after its statement was cancelled, and nobody else had its thread.
pub(super) fn give_way(
    plan: Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let given = plan.transform_up(|plan| {
        if plan.children().len() < 2 {
            return Ok(Transformed::no(plan));
        }
        let plan: Arc<dyn ExecutionPlan> = Arc::new(CooperativeExec::new(plan));
        Ok(Transformed::yes(plan))
    });
    given.map(|given| given.data)
}
