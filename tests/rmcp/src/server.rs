//! The server: one for all requests and sessions, cloned for each.

use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams,
    CompleteResult, DiscoverResult, GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult,
    Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, RequestStateCodec,
    ServerCapabilities, ServerConfig, SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter,
    Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::task_manager::TaskManager;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use tokio::sync::broadcast;

use crate::contents::{self, of};
use crate::{asking, tasks, tools};

/// A list that changed.
#[derive(Clone, Copy, Debug)]
enum Change {
    Tools,
    Prompts,
}

/// The fixtures, and what they share.
#[derive(Clone)]
pub(crate) struct Fixtures {
    ttl_ms: u64,
    tasks: TaskManager,
    seals: RequestStateCodec,
    changes: broadcast::Sender<Change>,
}

impl Fixtures {
    pub(crate) fn new(ttl_ms: u64) -> Self {
        Self {
            ttl_ms,
            tasks: TaskManager::new(),
            // Of a fixture that runs on one machine for one test.
            seals: RequestStateCodec::try_new(*b"no secret, only long enough to be a key")
                .expect("the key is long enough"),
            changes: broadcast::Sender::new(16),
        }
    }
}

/// A cacheable result with its hints.
macro_rules! hinted {
    ($self:ident, $result:expr) => {
        Ok($result
            .with_ttl_ms($self.ttl_ms)
            .with_cache_scope(CacheScope::Private))
    };
}

impl ServerHandler for Fixtures {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_resources_list_changed()
            .enable_completions()
            .enable_logging()
            .enable_tasks()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("test-authority-rmcp", "1.0.0"))
            .with_instructions("Fixtures for tests; nothing here is real.")
    }

    async fn discover(&self, _context: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        let result = DiscoverResult::from_server_info(versions, self.get_info());
        hinted!(self, result)
    }

    async fn ping(&self, _context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        hinted!(self, ListToolsResult::with_all_items(tools::all()))
    }

    /// For the SDK's check of `Mcp-Param-*`.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::all().into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let change = match &*request.name {
            "test_trigger_tool_change" => Some(Change::Tools),
            "test_trigger_prompt_change" => Some(Change::Prompts),
            _ => None,
        };
        if let Some(change) = change {
            // Whether or not anybody listens.
            let _ = self.changes.send(change);
            return Ok(contents::text("The list changed").into());
        }
        if let Some(result) = tools::call(&request, &context).await? {
            return Ok(result.into());
        }
        let declared = context.client_capabilities().unwrap_or_default();
        if let Some(response) = asking::call(&request, &declared, &self.seals)? {
            return Ok(response);
        }
        if let Some(response) = tasks::call(&request, &declared, &self.tasks).await? {
            return Ok(response);
        }
        let unknown = || ErrorData::invalid_params(format!("unknown tool: {}", request.name), None);
        asking::call_as_spoken(&request, &context)
            .await?
            .ok_or_else(unknown)
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        Ok(GetTaskResult::new(self.tasks.get_task(&request.task_id)?))
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks.cancel_task(&request.task_id)
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        hinted!(
            self,
            ListResourcesResult::with_all_items(of(contents::resources()))
        )
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        hinted!(
            self,
            ListResourceTemplatesResult::with_all_items(of(contents::templates()))
        )
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let result: Result<_, ErrorData> = hinted!(self, contents::read(&request.uri)?);
        result.map(Into::into)
    }

    async fn subscribe(
        &self,
        _request: SubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        hinted!(self, ListPromptsResult::with_all_items(of(contents::prompts())))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        contents::prompt(&request)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        Ok(contents::complete(contents::completions(&request.argument.value)))
    }

    /// Every level is heard; there is nothing to set.
    async fn set_level(
        &self,
        _request: SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.changes.subscribe();
        loop {
            let change = tokio::select! {
                () = subscription.cancelled() => return Ok(()),
                change = changes.recv() => change,
            };
            // Who did not ask for it is not told: the SDK sees to that by an error.
            let _ = match change {
                Ok(Change::Tools) => subscription.sink().notify_tool_list_changed().await,
                Ok(Change::Prompts) => subscription.sink().notify_prompt_list_changed().await,
                Err(_) => Ok(()),
            };
        }
    }
}
